//! The Lambda binary of `set-password`.

latchkey::lambda!(set_password::handle, hashing, verifying);
