//! The library of Latchkey: the domain, and everything that more than one endpoint needs. Handlers live in
//! `functions/`, and nothing here depends on the dev server in `local/`.
//!
//! The modules are floors, listed from the ground up. A floor uses only those below it; `local/tests/it/floors.rs`
//! checks that.
//!
//! * [`base`]: time, identifiers, randomness, settings and errors.
//! * [`domain`]: phones, passwords, codes, and what they prove.
//! * [`tokens`]: access tokens, refresh tokens, and the keys that make them.
//! * [`https`]: the client that calls AWS and providers of messages, by HTTP/1.1.
//! * [`aws`]: clients of AWS, and the reasons why calls fail.
//! * [`rotation`]: secrets that functions rotate.
//! * [`store`]: the table, one method per use case.
//! * [`keyring`]: keys and secrets at run time.
//! * [`messages`]: messages to phones, and the channels that carry them.
//! * [`log`]: audit events and counts.
//! * [`error`]: the errors that a request can end with, independent of HTTP.
//! * [`config`]: the settings of all floors below, put together.
//! * [`http`]: requests, responses, problems, and their OpenAPI description.
//! * [`app`]: the parts of a function, put together.
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
pub mod https;
pub mod keyring;
pub mod log;
pub mod messages;
pub mod rotation;
pub mod runtime;
pub mod store;
pub mod tokens;

pub use crate::{
    app::App,
    error::ApiError,
    http::{Fields, FromFields, Request, Response, context::Context},
};
