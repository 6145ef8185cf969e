//! The Lambda binary of `health`.

latchkey::lambda!(stateless health::handle);
