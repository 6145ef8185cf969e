//! `GET /auth/me/export`: everything that is stored about the caller, but secrets.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::{
        id::{SessionId, UserId},
        time::Timestamp,
    },
    flows::{MessageSubjects, caller::Caller},
    http::{
        StatusCode,
        openapi::{ServerProblems, TokenProblems},
    },
    store::{Guesses, StoredAccount, StoredCode, StoredFactor, StoredSession},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Everything that is stored about the caller. Times are RFC 3339; what is not there is left out.
#[derive(Serialize, ToSchema)]
pub struct MeExportResponse {
    account: AccountRecord,
    /// What was tried with the password since the last success.
    sign_in_attempts: AttemptsRecord,
    /// The second factor, when one is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_factor: Option<SecondFactorRecord>,
    /// Until when a second factor waits to be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    enrolment_ends_at: Option<String>,
    /// Until when logins wait for their second step.
    second_steps_end_at: Vec<String>,
    /// Sessions, those that are over and not collected yet included.
    sessions: Vec<SessionRecord>,
    /// Codes that were sent to the phone, and to one that the account was to have.
    codes: Vec<CodeRecord>,
    /// How many messages were asked for today (UTC), for the phone.
    #[schema(example = 1)]
    messages_today: u64,
}

/// The account itself.
#[derive(Serialize, ToSchema)]
struct AccountRecord {
    /// `sub` in access tokens.
    #[schema(value_type = String, example = "5c0c7a0e-6a55-4c40-9e44-0f7a7d3c8a3b")]
    id: UserId,
    /// The phone, in E.164.
    #[schema(example = "+201012345678")]
    phone: String,
    /// When a code that was sent to the phone came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    phone_verified_at: Option<String>,
    /// Whether a second factor is on.
    mfa_enabled: bool,
    /// When the account was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// The identifier that it had in the system that it was imported from, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 42)]
    legacy_id: Option<i64>,
}

/// Guesses that were counted.
#[derive(Serialize, ToSchema)]
struct AttemptsRecord {
    /// How many since the last right one.
    #[schema(example = 0)]
    failures: u64,
    /// When the last of them was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last_at: Option<String>,
}

/// A second factor, without its secret.
#[derive(Serialize, ToSchema)]
struct SecondFactorRecord {
    /// Since when it is on.
    #[schema(format = DateTime)]
    created_at: String,
    /// How many recovery codes are left.
    #[schema(example = 10)]
    recovery_codes_left: usize,
    /// What was tried with codes since the last success.
    attempts: AttemptsRecord,
}

/// A session, without its tokens.
#[derive(Serialize, ToSchema)]
struct SessionRecord {
    /// `sid` in access tokens.
    #[schema(value_type = String, example = "0b6f1c5e-3c1f-4d0a-9d55-3a1c8f7f2f10")]
    id: SessionId,
    /// The client, as it described itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// The network address of the login.
    #[schema(example = "203.0.113.7")]
    address: String,
    /// Whether it began with a second factor.
    second_factor: bool,
    /// When the login was.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last refreshed.
    #[schema(format = DateTime)]
    last_used_at: String,
    /// Its end, at the latest.
    #[schema(format = DateTime)]
    ends_at: String,
    /// Its end, unless it is used before.
    #[schema(format = DateTime)]
    idle_ends_at: String,
}

/// A code, without its digits.
#[derive(Serialize, ToSchema)]
struct CodeRecord {
    /// What it is for.
    #[schema(example = "reset")]
    purpose: &'static str,
    /// Whom it was sent to, in E.164.
    #[schema(example = "+201012345678")]
    phone: String,
    /// When it dies, unless it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    ends_at: Option<String>,
    /// How often it was tried.
    #[schema(example = 0)]
    attempts: u64,
    /// How many wrong codes there were, over all of this purpose.
    #[schema(example = 0)]
    failures: u64,
    /// Since when they are counted.
    #[schema(format = DateTime)]
    failures_since: String,
}

/// Shows everything that is stored about the caller
///
/// Passwords, codes, tokens and secrets are stored as hashes or encrypted, and are not in it.
#[utoipa::path(
    get,
    path = "/auth/me/export",
    operation_id = "me-export",
    tag = "Account",
    security(("bearer" = [])),
    responses((status = 200, description = "Everything", body = MeExportResponse), TokenProblems, ServerProblems)
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let Caller { profile, .. } = Caller::authenticate(app, ctx, &request).await?;
    let subjects = MessageSubjects::new(&profile.phone, ctx);
    let [messages, ..] = app.message_budgets(&subjects);
    let (stored, messages_today) =
        tokio::try_join!(app.store.stored_account(&profile), app.store.uses(messages, ctx.now))?;
    let StoredAccount {
        phone_verified_at,
        password,
        second_factor,
        enrolment_ends_at,
        second_steps_end_at,
        sessions,
        codes,
    } = stored;

    let answer = MeExportResponse {
        account: AccountRecord {
            id: profile.user,
            phone: profile.phone.as_e164().to_owned(),
            phone_verified_at: phone_verified_at.map(Timestamp::to_rfc3339),
            mfa_enabled: profile.mfa_enabled,
            created_at: profile.created_at.to_rfc3339(),
            legacy_id: profile.legacy_id,
        },
        sign_in_attempts: password.into(),
        second_factor: second_factor.map(Into::into),
        enrolment_ends_at: enrolment_ends_at.map(Timestamp::to_rfc3339),
        second_steps_end_at: second_steps_end_at.into_iter().map(Timestamp::to_rfc3339).collect(),
        sessions: sessions.into_iter().map(Into::into).collect(),
        codes: codes.into_iter().map(Into::into).collect(),
        messages_today,
    };
    Ok(Response::json(StatusCode::OK, &answer))
}

impl From<Guesses> for AttemptsRecord {
    fn from(guesses: Guesses) -> Self {
        Self { failures: guesses.failures, last_at: guesses.attempted_at.map(Timestamp::to_rfc3339) }
    }
}

impl From<StoredFactor> for SecondFactorRecord {
    fn from(factor: StoredFactor) -> Self {
        Self {
            created_at: factor.created_at.to_rfc3339(),
            recovery_codes_left: factor.recovery_codes_left,
            attempts: factor.guesses.into(),
        }
    }
}

impl From<StoredSession> for SessionRecord {
    fn from(StoredSession { summary, second_factor, ends_at, idle_ends_at }: StoredSession) -> Self {
        Self {
            id: summary.id,
            user_agent: summary.device,
            address: summary.address,
            second_factor,
            created_at: summary.created_at.to_rfc3339(),
            last_used_at: summary.last_used_at.to_rfc3339(),
            ends_at: ends_at.to_rfc3339(),
            idle_ends_at: idle_ends_at.to_rfc3339(),
        }
    }
}

impl From<StoredCode> for CodeRecord {
    fn from(code: StoredCode) -> Self {
        Self {
            purpose: code.purpose.as_str(),
            phone: code.phone.as_e164().to_owned(),
            ends_at: code.ends_at.map(Timestamp::to_rfc3339),
            attempts: code.attempts,
            failures: code.failures,
            failures_since: code.failures_since.to_rfc3339(),
        }
    }
}
