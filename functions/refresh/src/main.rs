//! The Lambda binary of `refresh`.

latchkey::lambda!(refresh::handle, at_once(2));
