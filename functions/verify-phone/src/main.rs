//! The Lambda binary of `verify-phone`.

latchkey::lambda!(verify_phone::handle, verifying);
