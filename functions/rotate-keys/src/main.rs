//! The Lambda binary of `rotate-keys`.

latchkey::lambda!(events rotate_keys::handle);
