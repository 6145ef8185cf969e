//! `GET /.well-known/openid-configuration` and `GET /.well-known/oauth-authorization-server`: return the metadata for
//! verifying our tokens, at the well-known paths ("`OpenID` Connect Discovery 1.0", section 3; RFC 8414). It is metadata only: Latchkey is not an `OpenID` provider
//! and names no endpoint that it does not have.

use latchkey::{
    ApiError, App, Context, Request, Response,
    http::{
        StatusCode, header,
        openapi::{ServerProblems, Throttled},
    },
    tokens::{key_schedule::JWKS_MAX_AGE, keys::SigningAlgorithm},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The metadata for verifying access tokens.
#[derive(Serialize, ToSchema)]
pub struct OpenidConfigurationResponse {
    /// The `iss` of every access token, byte for byte.
    #[schema(example = "https://abc123.execute-api.eu-west-1.amazonaws.com")]
    issuer: String,
    /// The URL of the public keys.
    #[schema(example = "https://abc123.execute-api.eu-west-1.amazonaws.com/.well-known/jwks.json")]
    jwks_uri: String,
    /// The URL that ends the session of a token (RFC 7009).
    #[schema(example = "https://abc123.execute-api.eu-west-1.amazonaws.com/auth/revoke")]
    revocation_endpoint: String,
    /// How clients authenticate there: not at all, because they are public.
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    /// A member that the standard requires. Latchkey has no authorization endpoint that would return such responses.
    response_types_supported: [&'static str; 1],
    /// The kind of `sub`: the same for every client.
    subject_types_supported: [&'static str; 1],
    /// The algorithms that keys may sign with.
    id_token_signing_alg_values_supported: [&'static str; SigningAlgorithm::ALL.len()],
    /// The claims of an access token.
    claims_supported: [&'static str; 11],
    /// The ways to sign in (`SIGN_IN_METHODS`): `password`, `code`. The standard has no such member.
    #[schema(example = json!(["password", "code"]))]
    sign_in_methods_supported: Vec<&'static str>,
}

/// Show the metadata for verifying access tokens
///
/// Latchkey is no `OpenID` provider: this is for libraries that find the public keys by the issuer. Cache the response for
/// five minutes.
#[utoipa::path(
    get,
    path = "/.well-known/openid-configuration",
    operation_id = "openid-configuration",
    tag = "Service",
    responses((status = 200, description = "The metadata", body = OpenidConfigurationResponse), Throttled, ServerProblems)
)]
#[expect(clippy::unused_async, reason = "the shape of every handler")]
pub async fn handle(app: &App, ctx: &Context, _request: Request) -> Result<Response, ApiError> {
    let issuer = app.issuer(ctx.url.as_deref())?;
    let answer = OpenidConfigurationResponse {
        issuer: issuer.to_owned(),
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
        revocation_endpoint: format!("{issuer}/auth/revoke"),
        revocation_endpoint_auth_methods_supported: ["none"],
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: SigningAlgorithm::ALL.map(SigningAlgorithm::as_str),
        claims_supported: ["iss", "aud", "sub", "client_id", "sid", "iat", "exp", "jti", "auth_time", "amr", "ver"],
        sign_in_methods_supported: app.config.sign_in_methods.iter().map(|method| method.as_str()).collect(),
    };
    let max_age = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
    Ok(Response::json(StatusCode::OK, &answer).with_header(header::CACHE_CONTROL, &max_age))
}

/// Show the same metadata at the path of OAuth 2.0
///
/// Some libraries read RFC 8414's path and not `OpenID` Connect's.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server",
    operation_id = "openid-configuration-oauth",
    tag = "Service",
    responses((status = 200, description = "The metadata", body = OpenidConfigurationResponse), Throttled, ServerProblems)
)]
pub async fn handle_oauth(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    handle(app, ctx, request).await
}
