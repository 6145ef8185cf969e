//! The basis of all other modules: time, identifiers, randomness, origins, the front, settings and errors. It uses no
//! other module of ours.

pub mod fault;
pub mod front;
pub mod id;
pub mod kid;
pub mod origins;
pub mod random;
pub mod terminal;
pub mod time;
pub mod variables;
