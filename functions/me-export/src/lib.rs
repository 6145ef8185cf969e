//! `GET /auth/me/export`: returns everything that is stored about the caller, except secrets.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::{
        id::{SessionId, UserId},
        time::Timestamp,
    },
    domain::{legacy_id::LegacyId, phone::Phone},
    flows::{self, caller::Caller},
    http::{
        StatusCode,
        openapi::{ServerProblems, TokenProblems},
    },
    store::{Guesses, StoredAccount, StoredCode, StoredDevice, StoredFactor, StoredSession},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Everything that is stored about the caller, except secrets. Times are in RFC 3339; members without a value are
/// absent.
#[derive(Serialize, ToSchema)]
pub struct MeExportResponse {
    account: AccountRecord,
    /// The attempts with the password since the last success.
    sign_in_attempts: AttemptsRecord,
    /// The second factor, if one is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_factor: Option<SecondFactorRecord>,
    /// The time when a pending enrollment of an authenticator app expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    enrollment_ends_at: Option<String>,
    /// The times when logins that wait for their second step expire.
    second_steps_end_at: Vec<String>,
    /// The sessions, including those that have ended and were not collected yet.
    sessions: Vec<SessionRecord>,
    /// The known devices that have tried wrong passwords, or were forgotten.
    known_devices: Vec<DeviceRecord>,
    /// The codes that were sent to the phone, or to a new phone to change to.
    codes: Vec<CodeRecord>,
    /// The number of messages that were sent to the phone today (UTC), notices included.
    #[schema(example = 1)]
    messages_today: u64,
}

/// The account, as `GET /auth/me` shows it.
#[derive(Serialize, ToSchema)]
struct AccountRecord {
    /// The account's identifier: `sub` in access tokens.
    #[schema(value_type = String, example = "5c0c7a0e-6a55-4c40-9e44-0f7a7d3c8a3b")]
    id: UserId,
    /// The phone in E.164. Absent while the account is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+201012345678")]
    phone: Option<String>,
    /// The phone that a parked account had, which has another account now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+201012345678")]
    former_phone: Option<String>,
    /// The time until which a parked account waits for a phone. Absent if it is not parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    parked_until: Option<String>,
    /// The time when a code last proved who has the phone, or when the account got it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    phone_proved_at: Option<String>,
    /// The time when a code verified the phone. Absent if the phone is not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    phone_verified_at: Option<String>,
    /// Whether the account has a password.
    has_password: bool,
    /// Whether a second factor is on.
    mfa_enabled: bool,
    /// The time when the account was created.
    #[schema(format = DateTime)]
    created_at: String,
    /// The identifier in the system that the account was imported from. Absent if it was not imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 42)]
    legacy_id: Option<LegacyId>,
}

/// A count of attempts.
#[derive(Serialize, ToSchema)]
struct AttemptsRecord {
    /// The number of attempts since the last success.
    #[schema(example = 0)]
    failures: u64,
    /// The time of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last_at: Option<String>,
}

/// A second factor, without its secret.
#[derive(Serialize, ToSchema)]
struct SecondFactorRecord {
    /// The time when it was switched on.
    #[schema(format = DateTime)]
    created_at: String,
    /// The number of unused recovery codes.
    #[schema(example = 10)]
    recovery_codes_left: usize,
    /// The attempts with codes since the last success.
    attempts: AttemptsRecord,
}

/// A session, without its tokens.
#[derive(Serialize, ToSchema)]
struct SessionRecord {
    /// The session's identifier: `sid` in access tokens.
    #[schema(value_type = String, example = "0b6f1c5e-3c1f-4d0a-9d55-3a1c8f7f2f10")]
    id: SessionId,
    /// The client's own description, from its `User-Agent` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// The network address of the login, or of the change of the account that renewed the session.
    #[schema(example = "203.0.113.7")]
    address: String,
    /// The first factor of the sign-in, by its name in `amr`.
    #[schema(example = "pwd")]
    method: &'static str,
    /// Whether the user has proved a second factor.
    second_factor: bool,
    /// The time of the login.
    #[schema(format = DateTime)]
    created_at: String,
    /// The time at which the user last proved who they are.
    #[schema(format = DateTime)]
    authenticated_at: String,
    /// The time at which the user last proved a first factor: the password, or a code.
    #[schema(format = DateTime)]
    first_factor_at: String,
    /// The time of the last refresh, rounded down to the hour.
    #[schema(format = DateTime)]
    last_used_at: String,
    /// The time when the session ends at the latest.
    #[schema(format = DateTime)]
    ends_at: String,
    /// The time when the session ends unless it is used before, rounded down to the hour.
    #[schema(format = DateTime)]
    idle_ends_at: String,
}

/// A known device, without its token.
#[derive(Serialize, ToSchema)]
struct DeviceRecord {
    /// The identifier of the session that its sign-in started.
    #[schema(value_type = String, example = "0b6f1c5e-3c1f-4d0a-9d55-3a1c8f7f2f10")]
    id: SessionId,
    /// The attempts with the password on it since the last success.
    sign_in_attempts: AttemptsRecord,
    /// The time when its session was ended from another one, so that it is no longer known. Absent if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    forgotten_at: Option<String>,
}

/// A code, without its digits.
#[derive(Serialize, ToSchema)]
struct CodeRecord {
    /// The purpose of the code.
    #[schema(example = "reset")]
    purpose: &'static str,
    /// The phone that the code was sent to, in E.164.
    #[schema(example = "+201012345678")]
    phone: String,
    /// The time when the code expires. Absent if the code was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    ends_at: Option<String>,
    /// The number of tries of this code.
    #[schema(example = 0)]
    attempts: u64,
    /// The number of wrong codes, over all codes of this purpose.
    #[schema(example = 0)]
    failures: u64,
    /// The time since when `failures` are counted.
    #[schema(format = DateTime)]
    failures_since: String,
}

/// Export everything that is stored about the caller
///
/// Leaves out passwords, codes, tokens and secrets, which are stored as hashes or encrypted.
#[utoipa::path(
    get,
    path = "/auth/me/export",
    operation_id = "me-export",
    tag = "Account",
    security(("bearer" = [])),
    responses((status = 200, description = "The stored data", body = MeExportResponse), TokenProblems, ServerProblems)
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let Caller { profile, .. } = Caller::authenticate(app, ctx, &request).await?;
    let secret = app.keyring.secret(ctx.now).await?;
    // Messages to the phone that a parked account had are somebody else's.
    let subjects = profile.phone().map(|phone| flows::phone_subjects(&secret, phone));
    let limits = &app.config.limits;
    let budgets: Vec<_> = subjects.iter().flatten().map(|subject| limits.messages_to(subject)).collect();
    let (stored, messages_today) =
        tokio::try_join!(app.store.stored_account(&profile), app.store.uses(&budgets, ctx.now))?;
    let StoredAccount {
        phone_proved_at,
        phone_verified_at,
        password,
        second_factor,
        enrollment_ends_at,
        second_steps_end_at,
        sessions,
        devices,
        codes,
    } = stored;

    let answer = MeExportResponse {
        account: AccountRecord {
            id: profile.user,
            phone: profile.phone().map(e164),
            former_phone: profile.parked_until().map(|_| e164(profile.home.number())),
            parked_until: profile.parked_until().map(Timestamp::to_rfc3339),
            phone_proved_at: phone_proved_at.map(Timestamp::to_rfc3339),
            phone_verified_at: phone_verified_at.map(Timestamp::to_rfc3339),
            has_password: profile.has_password,
            mfa_enabled: profile.mfa_enabled,
            created_at: profile.created_at.to_rfc3339(),
            legacy_id: profile.legacy_id,
        },
        sign_in_attempts: password.into(),
        second_factor: second_factor.map(Into::into),
        enrollment_ends_at: enrollment_ends_at.map(Timestamp::to_rfc3339),
        second_steps_end_at: second_steps_end_at.into_iter().map(Timestamp::to_rfc3339).collect(),
        sessions: sessions.into_iter().map(Into::into).collect(),
        known_devices: devices.into_iter().map(Into::into).collect(),
        codes: codes.into_iter().map(Into::into).collect(),
        messages_today,
    };
    Ok(Response::json(StatusCode::OK, &answer))
}

fn e164(phone: &Phone) -> String {
    phone.as_e164().to_owned()
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
    fn from(StoredSession { summary, session, idle_ends_at }: StoredSession) -> Self {
        Self {
            id: summary.id,
            user_agent: summary.device,
            address: summary.address,
            method: session.authentication.method.amr(),
            second_factor: session.authentication.second_factor,
            created_at: session.created_at.to_rfc3339(),
            authenticated_at: session.authentication.at.to_rfc3339(),
            first_factor_at: session.authentication.first_factor_at.to_rfc3339(),
            last_used_at: summary.last_used_at.to_rfc3339(),
            ends_at: session.ends_at.to_rfc3339(),
            idle_ends_at: idle_ends_at.to_rfc3339(),
        }
    }
}

impl From<StoredDevice> for DeviceRecord {
    fn from(device: StoredDevice) -> Self {
        Self {
            id: device.id,
            sign_in_attempts: device.guesses.into(),
            forgotten_at: device.forgotten_at.map(Timestamp::to_rfc3339),
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
