//! Tokens and the keys that make them: access tokens, refresh tokens, and MFA tokens for the second step of a login.

pub mod access;
mod jws;
pub mod key_schedule;
pub mod keys;
pub mod mfa;
pub mod refresh;
pub mod secret;
pub mod settings;
pub mod signed;
