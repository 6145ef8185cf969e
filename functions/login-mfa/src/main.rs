//! The Lambda binary of `login-mfa`.

latchkey::lambda!(login_mfa::handle, hashing, verifying, at_once(3));
