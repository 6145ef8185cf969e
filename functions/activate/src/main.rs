//! The Lambda binary of `activate`.

latchkey::lambda!(activate::handle, at_once(2));
