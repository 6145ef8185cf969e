//! The Lambda binary of `unmatched`.

latchkey::lambda!(stateless unmatched::handle);
