//! The Lambda binary of `mfa-recovery-codes`.

latchkey::lambda!(mfa_recovery_codes::handle, hashing, verifying, at_once(4));
