//! What everything stands on: time, identifiers, randomness, settings and errors. Nothing of ours is below.

pub mod fault;
pub mod id;
pub mod random;
pub mod time;
pub mod variables;
