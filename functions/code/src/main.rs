//! The Lambda binary of `code`.

latchkey::lambda!(code::handle);
