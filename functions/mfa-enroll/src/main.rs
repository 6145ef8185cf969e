//! The Lambda binary of `mfa-enroll`.

latchkey::lambda!(mfa_enroll::handle, hashing, verifying, at_once(2));
