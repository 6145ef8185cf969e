//! The Lambda binary of `revoke`.

latchkey::lambda!(revoke::handle, verifying);
