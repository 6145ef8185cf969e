//! The Lambda binary of `logout-all`.

latchkey::lambda!(logout_all::handle, verifying);
