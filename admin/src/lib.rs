//! Operators' commands: they manage accounts ([`users`]), check the deployment ([`doctor`]) and send test messages
//! ([`messages`]).

pub mod doctor;
pub mod messages;
pub mod users;
