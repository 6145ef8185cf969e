//! What operators do with accounts ([`users`]), and whether everything is in order ([`doctor`]).

pub mod doctor;
pub mod users;
