//! The Lambda binary of `step-up`.

latchkey::lambda!(step_up::handle, hashing, verifying, at_once(4));
