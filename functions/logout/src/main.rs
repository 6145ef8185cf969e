//! The Lambda binary of `logout`.

latchkey::lambda!(logout::handle, verifying);
