//! The Lambda binary of `sessions`.

latchkey::lambda!(sessions::handle, verifying);
