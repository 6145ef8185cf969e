//! The Lambda binary of `sessions-delete`.

latchkey::lambda!(sessions_delete::handle, hashing, verifying);
