//! The Lambda binary of `resend-activation`.

latchkey::lambda!(resend_activation::handle);
