//! Tokens and the keys that make them: access tokens, refresh tokens, MFA tokens for the second step of a login, and device
//! tokens.

pub mod access;
pub mod device;
mod jws;
pub mod key_schedule;
pub mod keys;
pub mod mfa;
pub mod refresh;
pub mod secret;
pub mod settings;
pub mod signed;
