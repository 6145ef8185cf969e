//! Operators' commands: they manage accounts ([`users`]), retire keys of the master secret
//! ([`secret`]), and check the deployment ([`doctor`]).

pub mod doctor;
pub mod secret;
pub mod users;
