//! The table's grammar: keys, items, expressions, calls, and the meaning of their replies.

pub(in crate::store) mod error;
pub(in crate::store) mod expression;
pub(in crate::store) mod item;
pub(in crate::store) mod keys;
pub(in crate::store) mod wire;
