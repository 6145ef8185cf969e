//! The Lambda binary of `request-reset`.

latchkey::lambda!(request_reset::handle);
