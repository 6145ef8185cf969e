//! `GET /health`: that it runs, and which version. Asks nothing of the table, so that a monitor costs nothing.

use latchkey::{ApiError, Context, Request, Response, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// That it runs.
#[derive(Serialize, ToSchema)]
pub struct HealthResponse {
    /// Always `ok`: whoever is not does not answer.
    #[schema(example = "ok")]
    status: &'static str,
    /// Which version of Latchkey this is.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// Says that it runs
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    tag = "Service",
    responses((status = 200, description = "It runs", body = HealthResponse))
)]
pub fn handle(_ctx: &Context, _request: &Request) -> Result<Response, ApiError> {
    Ok(Response::json(StatusCode::OK, &HealthResponse { status: "ok", version: env!("CARGO_PKG_VERSION") }))
}
