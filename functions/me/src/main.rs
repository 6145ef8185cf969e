//! The Lambda binary of `me`.

latchkey::lambda!(me::handle, verifying);
