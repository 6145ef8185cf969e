//! The Lambda binary of `me-delete`.

latchkey::lambda!(me_delete::handle, hashing, verifying, at_once(11));
