//! The Lambda binary of `rotate-secret`.

latchkey::lambda!(events rotate_secret::handle);
