//! Operators' commands: they manage accounts ([`users`]) and check the deployment ([`doctor`]).

pub mod doctor;
pub mod users;
