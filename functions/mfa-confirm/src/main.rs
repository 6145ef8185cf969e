//! The Lambda binary of `mfa-confirm`.

latchkey::lambda!(mfa_confirm::handle, verifying, at_once(3));
