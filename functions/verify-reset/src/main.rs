//! The Lambda binary of `verify-reset`.

latchkey::lambda!(verify_reset::handle, hashing, at_once(2));
