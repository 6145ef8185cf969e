//! `GET /health`: reports that the service runs, and its version. It does not use the table, so that a monitor costs
//! nothing.

use latchkey::{
    ApiError, Context, Request, Response,
    http::{StatusCode, openapi::Throttled},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The state of the service.
#[derive(Serialize, ToSchema)]
pub struct HealthResponse {
    /// Always `ok`, because a broken service does not respond.
    #[schema(example = "ok")]
    status: &'static str,
    /// The version of Latchkey.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// Check the service
///
/// Returns the version. Does not use the table.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    tag = "Service",
    responses((status = 200, description = "The service runs", body = HealthResponse), Throttled)
)]
pub fn handle(_ctx: &Context, _request: &Request) -> Result<Response, ApiError> {
    Ok(Response::json(StatusCode::OK, &HealthResponse { status: "ok", version: env!("CARGO_PKG_VERSION") }))
}
