//! `GET /auth/me`: returns the caller's account.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::{id::UserId, time::Timestamp},
    domain::legacy_id::LegacyId,
    flows::caller::Caller,
    http::{
        StatusCode,
        openapi::{ServerProblems, TokenProblems},
    },
};
use serde::Serialize;
use utoipa::ToSchema;

/// The caller's account.
#[derive(Serialize, ToSchema)]
pub struct MeResponse {
    /// The account's identifier: `sub` in the access token.
    #[schema(value_type = String, example = "5c0c7a0e-6a55-4c40-9e44-0f7a7d3c8a3b")]
    id: UserId,
    /// The phone in E.164. Absent while the account is parked, because its phone has another account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+201012345678")]
    phone: Option<String>,
    /// The time until which a parked account waits for a phone, in RFC 3339. Then it is deleted. Absent if it has a phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2027-02-20T20:16:46Z")]
    parked_until: Option<String>,
    /// Whether a code has verified the phone.
    #[schema(example = false)]
    phone_verified: bool,
    /// Whether the account has a password. Without one, its owner signs in by a code.
    #[schema(example = true)]
    has_password: bool,
    /// Whether a second factor is on.
    #[schema(example = false)]
    mfa_enabled: bool,
    /// The time when the account was created, in RFC 3339.
    #[schema(format = DateTime, example = "2026-11-22T20:16:46Z")]
    created_at: String,
    /// The identifier in the system that the account was imported from. Absent if it was not imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 42)]
    legacy_id: Option<LegacyId>,
}

/// Show the caller's account
///
/// Has no password, no tokens and no codes. `GET /auth/me/export` returns all that is stored.
#[utoipa::path(
    get,
    path = "/auth/me",
    operation_id = "me",
    tag = "Account",
    security(("bearer" = [])),
    responses((status = 200, description = "The account", body = MeResponse), TokenProblems, ServerProblems)
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let Caller { profile, .. } = Caller::authenticate(app, ctx, &request).await?;

    let answer = MeResponse {
        id: profile.user,
        phone: profile.phone().map(|phone| phone.as_e164().to_owned()),
        parked_until: profile.parked_until().map(Timestamp::to_rfc3339),
        phone_verified: profile.phone_verified,
        has_password: profile.has_password,
        mfa_enabled: profile.mfa_enabled,
        created_at: profile.created_at.to_rfc3339(),
        legacy_id: profile.legacy_id,
    };
    Ok(Response::json(StatusCode::OK, &answer))
}
