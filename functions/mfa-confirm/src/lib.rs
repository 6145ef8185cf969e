//! `POST /auth/mfa/confirm`: switches the second factor on with its first code.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{otp::OtpCode, proof::Factor, recovery_code::RecoveryCodes},
    flows::{
        admission,
        caller::Caller,
        token_pair::{self, StepUp, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        openapi::{CodeProblems, ConfirmationProblems, LimitProblems, ServerProblems, TokenProblems},
    },
    messages::Notice,
    request_body,
    store::{Change, NewFactor},
};
use serde::Serialize;
use utoipa::ToSchema;

request_body! {
    /// The first code of an authenticator app.
    pub struct MfaConfirmRequest {
        /// The six digits that the authenticator app shows.
        code: OtpCode,
    }
}

/// Recovery codes, for the user to keep on paper, which are shown only once; and the tokens of a new session.
#[derive(Serialize, ToSchema)]
pub struct MfaConfirmResponse {
    /// The recovery codes. Each works once, in place of a TOTP code.
    #[schema(example = json!(["9QK2-7H3M-5TZA-0C8W-RJ4E-VX6P"]))]
    recovery_codes: Vec<String>,
    #[serde(flatten)]
    tokens: TokenResponse,
}

/// Switch the second factor on
///
/// From now on, logins and password resets require it. Every session ends; the response has the tokens of a new one,
/// and the recovery codes, which are shown only in this response.
/// A wrong code may be entered again; after five tries, or ten minutes, the enrollment is over and begins again with
/// `POST /auth/mfa/enroll`.
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

    let keys = TokenKeys::of(app, ctx).await?;
    let attempt = app.store.spend_enrollment_attempt(&caller.profile, ctx.now);
    let (keys, admitted) = tokio::join!(keys.current(app, ctx), admission::admit_with_receipt(app, ctx, attempt));
    let ((sealed, receipt), keys) = (admitted?.ok_or(ApiError::EnrollmentOver)?, keys?);
    let kid = sealed.kid().map_err(|error| ApiError::Internal(error.into()))?;
    let opening = admission::or_take_back(app, &receipt, app.keyring.reading(kid, ctx.now).await).await?;
    // A secret whose key leaked while it waited is no second factor to begin with.
    let opening = opening.ok_or(ApiError::EnrollmentOver)?;
    let secret = sealed.open(&opening.totp, user).map_err(|error| ApiError::Internal(error.into()))?;
    ctx.audit.factor(Factor::Totp);
    let step = secret.step_of(&code, None, ctx.now).ok_or(ApiError::WrongTotp)?;

    let codes = RecoveryCodes::generate()?;
    let hashes = codes.hashes(user);
    let factor = NewFactor { secret: &sealed, step, recovery_codes: &hashes };
    // Who the caller is was proved when the enrollment began, perhaps in another session.
    let proof = StepUp { first: None, second_factor: true };
    let (renewal, tokens) = token_pair::renewed_session(app, ctx, &keys, &caller, proof)?;
    let change = app.store.switch_factor_on(&caller.profile, factor, renewal, ctx.now);
    let notice = (ctx, &caller.profile, Notice::SecondFactorOn);
    match app.notify_when(Change::Done, change, notice).await? {
        Change::Done => {
            Ok(Response::json(StatusCode::OK, &MfaConfirmResponse { recovery_codes: codes.reveal(), tokens }))
        }
        // Another request was faster: it confirmed the same enrollment, or did something else that ends sessions.
        Change::Overtaken => Err(caller.overtaken(app, ctx, ApiError::EnrollmentOver).await),
    }
}
