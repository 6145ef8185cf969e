//! The Lambda binary of `change-phone-verify`.

latchkey::lambda!(change_phone_verify::handle, verifying, at_once(3));
