//! `GET /.well-known/openid-configuration`: what whoever verifies our tokens must know, where such things are looked for
//! ("`OpenID` Connect Discovery 1.0", section 3; RFC 8414). Metadata alone: Latchkey is no `OpenID` provider, and
//! names no endpoint that it does not have.

use latchkey::{
    ApiError, App, Context, Request, Response,
    http::{StatusCode, header, openapi::ServerProblems},
    tokens::{key_schedule::JWKS_MAX_AGE, keys::SigningAlgorithm},
};
use serde::Serialize;
use utoipa::ToSchema;

/// What whoever verifies access tokens must know.
#[derive(Serialize, ToSchema)]
pub struct OpenidConfigurationResponse {
    /// `iss` of every access token, byte for byte.
    #[schema(example = "https://abc123.execute-api.eu-west-1.amazonaws.com")]
    issuer: String,
    /// Where the keys are.
    #[schema(example = "https://abc123.execute-api.eu-west-1.amazonaws.com/.well-known/jwks.json")]
    jwks_uri: String,
    /// Required by the standard; there is no authorization endpoint that would give any.
    response_types_supported: [&'static str; 1],
    /// `sub` is the same for everybody who asks.
    subject_types_supported: [&'static str; 1],
    /// What keys may sign with.
    id_token_signing_alg_values_supported: [&'static str; SigningAlgorithm::ALL.len()],
    /// The claims of an access token.
    claims_supported: [&'static str; 11],
}

/// Says how access tokens are verified
#[utoipa::path(
    get,
    path = "/.well-known/openid-configuration",
    operation_id = "openid-configuration",
    tag = "Service",
    responses((status = 200, description = "The metadata", body = OpenidConfigurationResponse), ServerProblems)
)]
#[expect(clippy::unused_async, reason = "the shape of every handler")]
pub async fn handle(app: &App, ctx: &Context, _request: Request) -> Result<Response, ApiError> {
    let issuer = app.issuer(&ctx.origin);
    let answer = OpenidConfigurationResponse {
        issuer: issuer.to_owned(),
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: SigningAlgorithm::ALL.map(SigningAlgorithm::as_str),
        claims_supported: ["iss", "aud", "sub", "client_id", "sid", "iat", "exp", "jti", "auth_time", "amr", "ver"],
    };
    let max_age = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
    Ok(Response::json(StatusCode::OK, &answer).with_header(header::CACHE_CONTROL, &max_age))
}
