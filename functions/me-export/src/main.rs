//! The Lambda binary of `me-export`.

latchkey::lambda!(me_export::handle, verifying, at_once(5));
