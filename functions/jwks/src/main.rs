//! The Lambda binary of `jwks`.

latchkey::lambda!(jwks::handle, verifying);
