//! The Lambda binary of `code-resend`.

latchkey::lambda!(code_resend::handle);
