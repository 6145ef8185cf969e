//! `POST /auth/mfa/confirm`: switches the second factor on with its first code.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::{otp::OtpCode, proof::Factor, recovery_code::RecoveryCodes},
    flows::{admission, caller::Caller},
    http::{
        StatusCode,
        openapi::{CodeProblems, ConfirmationProblems, LimitProblems, ServerProblems, TokenProblems},
    },
    messages::Notice,
    store::{Change, NewFactor},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The first code of an authenticator app.
#[derive(ToSchema)]
pub struct MfaConfirmRequest {
    /// The six digits that the authenticator app shows.
    #[schema(value_type = String, example = "654321")]
    code: OtpCode,
}

impl FromFields for MfaConfirmRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { code: fields.otp("code")? })
    }
}

/// Recovery codes, for the user to keep on paper. They are shown only once.
#[derive(Serialize, ToSchema)]
pub struct MfaConfirmResponse {
    /// The recovery codes. Each works once, in place of a TOTP code.
    #[schema(example = json!(["9QK2-7H3M-5TZA-0C8W-RJ4E-VX6P"]))]
    recovery_codes: Vec<String>,
}

/// Switch the second factor on
///
/// From now on, logins and password resets require it. Every other session ends; this one stays. The recovery codes are
/// shown only in this response. A wrong code may be entered again; after five tries, or ten minutes, the enrollment is
/// over and begins again with `POST /auth/mfa/enroll`.
#[utoipa::path(
    post,
    path = "/auth/mfa/confirm",
    operation_id = "mfa-confirm",
    tag = "Second factor",
    security(("bearer" = [])),
    request_body = MfaConfirmRequest,
    responses(
        (status = 200, description = "Switched on; every other session has ended", body = MfaConfirmResponse),
        CodeProblems, TokenProblems, ConfirmationProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let user = caller.profile.user;
    let MfaConfirmRequest { code } = request.read(&app.config)?;

    let keys = app.keyring.secret(ctx.now).await?;
    let attempt = app.store.spend_enrollment_attempt(&caller.profile, ctx.now);
    let sealed = admission::admit(app, ctx, attempt).await?.ok_or(ApiError::EnrollmentOver)?;
    let secret = sealed.open(&keys.totp, user).map_err(|error| ApiError::Internal(error.into()))?;
    ctx.audit.factor(Factor::Totp);
    let step = secret.step_of(&code, None, ctx.now).ok_or(ApiError::WrongTotp)?;

    let codes = RecoveryCodes::generate()?;
    let macs = codes.macs(&keys.recovery_code, user);
    let factor = NewFactor { secret: &sealed, step, recovery_codes: &macs };
    let change = app.store.switch_factor_on(&caller.profile, factor, caller.session, ctx.now);
    let notice = (ctx, &caller.profile, Notice::SecondFactorOn);
    match app.notify_when(Change::Done, change, notice).await? {
        Change::Done => Ok(Response::json(StatusCode::OK, &MfaConfirmResponse { recovery_codes: codes.reveal() })),
        // Another request was faster: it confirmed the same enrollment, or did something else that ends sessions.
        Change::Overtaken => Err(caller.overtaken(app, ctx, ApiError::EnrollmentOver).await),
    }
}
