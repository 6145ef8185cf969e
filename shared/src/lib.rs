//! The library of Latchkey: what two endpoints need, and what is domain. Handlers live in `functions/`; nothing here knows of the
//! dev server in `local/`.
//!
//! It is a house of floors, listed from the ground up. A floor uses only those below it; a test holds it to that
//! (`local/tests/it/contract.rs`).
//!
//! * [`base`]: time, identifiers, randomness, settings and errors.
//! * [`domain`]: what people have and type: phones, passwords, codes, and what is proved by them.
//! * [`tokens`]: access tokens, refresh tokens, and the keys that make them.
//! * [`aws`]: clients of AWS, and why a call failed.
//! * [`store`]: the table, by use case.
//! * [`keyring`]: keys and secrets at run time.
//! * [`messages`]: messages to phones, and the channels that carry them.
//! * [`log`]: audit events and counts.
//! * [`error`]: what a request can end with. Knows no HTTP.
//! * [`config`]: puts the settings of all floors below together.
//! * [`http`]: requests, answers, problems, and their description.
//! * [`app`]: the parts of a function, and how they are put together.
//! * [`flows`]: steps that endpoints share.
//! * [`runtime`]: the process: Lambda, clock, environment.

pub mod app;
pub mod aws;
pub mod base;
pub mod config;
pub mod domain;
pub mod error;
pub mod flows;
pub mod http;
pub mod keyring;
pub mod log;
pub mod messages;
pub mod runtime;
pub mod store;
pub mod tokens;

pub use crate::{
    app::App,
    error::ApiError,
    http::{Fields, FromFields, Request, Response, context::Context},
};
