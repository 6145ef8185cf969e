//! The Lambda binary of `mfa-disable`.

latchkey::lambda!(mfa_disable::handle, hashing, verifying, at_once(4));
