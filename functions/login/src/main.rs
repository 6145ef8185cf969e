//! The Lambda binary of `login`.

latchkey::lambda!(login::handle, hashing, at_once(4));
