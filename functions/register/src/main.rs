//! The Lambda binary of `register`.

latchkey::lambda!(register::handle, hashing, at_once(3));
