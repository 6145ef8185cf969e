//! The Lambda binary of `login-mfa`.

latchkey::lambda!(login_mfa::handle, verifying, at_once(3));
