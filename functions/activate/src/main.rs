//! The Lambda binary of `activate`.

latchkey::lambda!(activate::handle);
