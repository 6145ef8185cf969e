//! The basis of all other modules: time, identifiers, randomness, settings and errors. It uses no other module of ours.

pub mod fault;
pub mod id;
pub mod kid;
pub mod random;
pub mod terminal;
pub mod time;
pub mod variables;
