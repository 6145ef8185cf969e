//! The Lambda binary of `refresh`.

latchkey::lambda!(refresh::handle);
