//! `GET /.well-known/jwks.json`: the keys that access tokens are verified with, for everybody (RFC 7517).

use latchkey::{
    ApiError, App, Context, Request, Response,
    http::{StatusCode, header, openapi::ServerProblems},
    tokens::key_schedule::JWKS_MAX_AGE,
};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A set of public keys.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the answer; the keys write themselves")]
pub struct JwksResponse {
    /// JWKs, those included that have not signed yet. Find a token's key by its `kid`, and take the key's `alg`.
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Value>,
}

/// Lists the keys that access tokens are verified with
///
/// Keep it for five minutes; look again, once, when a token names a key that you do not know.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "jwks",
    tag = "Service",
    responses((status = 200, description = "The public keys", body = JwksResponse), ServerProblems)
)]
pub async fn handle(app: &App, ctx: &Context, _request: Request) -> Result<Response, ApiError> {
    let keys = app.keyring.key_set(ctx.now).await?;
    let keys: Vec<_> = keys.verifying(ctx.now).map(latchkey::tokens::keys::VerifyingKey::jwk).collect();

    let max_age = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
    Ok(Response::json(StatusCode::OK, &json!({ "keys": keys })).with_header(header::CACHE_CONTROL, &max_age))
}
