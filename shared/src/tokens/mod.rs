//! Tokens and the keys that make them: access tokens, refresh tokens, MFA tokens for the second step of a login, device tokens,
//! and the proofs that callers show before they are sent a message.

pub mod access;
pub mod attestation;
pub mod device;
mod jws;
pub mod key_schedule;
pub mod keys;
pub mod mfa;
pub mod puzzle;
pub mod refresh;
pub mod secret;
pub mod settings;
pub mod signed;
