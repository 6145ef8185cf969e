//! The Lambda binary of `recover`.

latchkey::lambda!(recover::handle, hashing, at_once(3));
