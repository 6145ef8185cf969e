//! The edge between API Gateway's JSON and the domain: requests, responses, problems, and their OpenAPI description.

pub mod body;
pub mod context;
pub mod cors;
pub mod event;
mod fields;
pub mod members;
pub mod openapi;
pub mod problem;
mod request;
mod response;

pub use http::{StatusCode, header};

pub use fields::{Fields, FromFields};
pub use request::{MAX_BODY, Request, bearer_token};
pub use response::Response;
