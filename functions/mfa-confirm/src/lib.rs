//! `POST /auth/mfa/confirm`: the second factor is on, by its first code.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::{otp::OtpCode, proof::Factor, recovery_code::RecoveryCodes},
    flows::{admission, caller::Caller},
    http::{
        StatusCode,
        openapi::{CodeProblems, LimitProblems, ServerProblems, TokenProblems},
    },
    messages::Notice,
    store::{Change, NewFactor},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The first code.
#[derive(ToSchema)]
pub struct MfaConfirmRequest {
    /// The six digits that the authenticator shows.
    #[schema(value_type = String, example = "654321")]
    code: OtpCode,
}

impl FromFields for MfaConfirmRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { code: fields.otp("code")? })
    }
}

/// What its user keeps on paper. Shown once.
#[derive(Serialize, ToSchema)]
pub struct MfaConfirmResponse {
    /// Each signs in once, in place of a code of the authenticator.
    #[schema(example = json!(["9QK2-7H3M-5TZA-0C8W-RJ4E-VX6P"]))]
    recovery_codes: Vec<String>,
}

/// Switches the second factor on
///
/// From now on a login asks for it, and so does a password reset. Every other session ends; this one stays. The recovery
/// codes are shown this once.
#[utoipa::path(
    post,
    path = "/auth/mfa/confirm",
    operation_id = "mfa-confirm",
    tag = "Second factor",
    security(("bearer" = [])),
    request_body = MfaConfirmRequest,
    responses(
        (status = 200, description = "It is on; every other session has ended", body = MfaConfirmResponse),
        CodeProblems, TokenProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let user = caller.profile.user;
    let MfaConfirmRequest { code } = request.read(&app.config)?;

    let keys = app.keyring.secret(ctx.now).await?;
    let attempt = app.store.spend_enrolment_attempt(&caller.profile, ctx.now);
    let sealed = admission::admit(app, ctx, attempt).await?.ok_or(ApiError::InvalidOtp)?;
    let secret = sealed.open(&keys.totp, user).map_err(|error| ApiError::Internal(error.into()))?;
    ctx.audit.factor(Factor::Totp);
    let step = secret.step_of(&code, None, ctx.now).ok_or(ApiError::InvalidOtp)?;

    let codes = RecoveryCodes::generate()?;
    let macs = codes.macs(&keys.recovery_code, user);
    let factor = NewFactor { secret: &sealed, step, recovery_codes: &macs };
    let change = app.store.switch_factor_on(&caller.profile, factor, caller.session, ctx.now);
    let notice = (ctx, &caller.profile, Notice::SecondFactorOn);
    match app.notify_when(Change::Done, change, notice).await? {
        Change::Done => Ok(Response::json(StatusCode::OK, &MfaConfirmResponse { recovery_codes: codes.reveal() })),
        // Somebody was faster: with the same enrolment, or with something else that ends sessions.
        Change::Overtaken => Err(caller.overtaken(app, ctx, ApiError::InvalidOtp).await),
    }
}
