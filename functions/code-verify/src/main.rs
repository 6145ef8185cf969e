//! The Lambda binary of `code-verify`.

latchkey::lambda!(code_verify::handle, at_once(4));
