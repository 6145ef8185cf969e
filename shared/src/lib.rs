//! What two endpoints of Latchkey need, and what is domain: phones, passwords, codes, tokens, the store, HTTP and
//! configuration. Handlers live in `functions/`; nothing here knows of the dev server in `local/`.

pub mod access_token;
pub mod app;
pub mod audit;
pub mod aws;
pub mod caller;
pub mod codes;
pub mod config;
pub mod context;
pub mod device;
pub mod error;
pub mod http;
pub mod id;
mod jws;
pub mod key_schedule;
pub mod keyring;
pub mod keys;
pub mod line_log;
pub mod metrics;
pub mod mfa_token;
pub mod openapi;
pub mod otp;
pub mod password;
pub mod phone;
pub mod random;
pub mod recovery_code;
pub mod refresh_token;
pub mod registration;
pub mod runtime;
pub mod second_factor;
pub mod signed_token;
pub mod sms;
pub mod store;
pub mod time;
pub mod tokens;
pub mod totp;

pub use crate::{
    app::App,
    context::Context,
    error::ApiError,
    http::{Fields, FromFields, Request, Response},
};
