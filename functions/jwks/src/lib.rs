//! `GET /.well-known/jwks.json`: returns the public keys that verify access tokens (RFC 7517).

use latchkey::{
    ApiError, App, Context, Request, Response,
    http::{
        StatusCode, header,
        openapi::{ServerProblems, Throttled},
    },
    tokens::key_schedule::JWKS_MAX_AGE,
};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A set of public keys.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the response; the keys serialize themselves")]
pub struct JwksResponse {
    /// The keys as JWKs, including those that have not signed yet. Find a token's key by its `kid`, and use the `alg`
    /// of the key.
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Value>,
}

/// List the public keys of access tokens
///
/// Cache the response for five minutes. If a token names a key that you do not know, request the list once more.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "jwks",
    tag = "Service",
    responses((status = 200, description = "The public keys", body = JwksResponse), Throttled, ServerProblems)
)]
pub async fn handle(app: &App, ctx: &Context, _request: Request) -> Result<Response, ApiError> {
    let keys = app.keyring.current_key_set(ctx.now).await?;
    let keys: Vec<_> = keys.verifying(ctx.now).map(latchkey::tokens::keys::VerifyingKey::jwk).collect();

    let max_age = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
    Ok(Response::json(StatusCode::OK, &json!({ "keys": keys })).with_header(header::CACHE_CONTROL, &max_age))
}
