//! Operators' commands: they manage accounts ([`users`]), retire keys of the master secret ([`secret`]), check the
//! deployment ([`doctor`]) and send test messages ([`messages`]).

pub mod doctor;
pub mod messages;
pub mod secret;
pub mod users;
