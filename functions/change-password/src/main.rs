//! The Lambda binary of `change-password`.

latchkey::lambda!(change_password::handle, hashing, verifying, at_once(3));
