//! The Lambda binary of `change-phone`.

latchkey::lambda!(change_phone::handle, hashing, verifying, at_once(3));
