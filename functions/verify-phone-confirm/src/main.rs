//! The Lambda binary of `verify-phone-confirm`.

latchkey::lambda!(verify_phone_confirm::handle, verifying, at_once(2));
