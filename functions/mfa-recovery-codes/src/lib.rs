//! `POST /auth/mfa/recovery-codes`: replaces the recovery codes.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{proof::Proof, recovery_code::RecoveryCodes},
    flows::{
        caller::Caller,
        second_factor,
        token_pair::{self, StepUp, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        members::OwnPassword,
        openapi::{
            CodeProblems, LimitProblems, NotFoundProblems, ReauthenticationProblems, ServerProblems, TokenProblems,
        },
    },
    messages::Notice,
    request_body,
    store::Change,
};
use serde::Serialize;
use utoipa::ToSchema;

request_body! {
    /// The account's password and its second factor.
    pub struct MfaRecoveryCodesRequest {
        /// The account's password, required if it has one. Without one, the sign-in or `POST /auth/step-up` must be at most
        /// ten minutes old.
        password: OwnPassword,
        /// The TOTP code. `recovery_code` may be sent instead.
        code: Option<Proof>,
    }
}

/// Recovery codes, for the user to keep on paper, which are shown only once; and the tokens of a new session.
#[derive(Serialize, ToSchema)]
pub struct MfaRecoveryCodesResponse {
    /// The recovery codes. Each works once, in place of a TOTP code.
    #[schema(example = json!(["9QK2-7H3M-5TZA-0C8W-RJ4E-VX6P"]))]
    recovery_codes: Vec<String>,
    #[serde(flatten)]
    tokens: TokenResponse,
}

/// Replace the recovery codes
///
/// The previous recovery codes stop working. Every session ends; the response has the tokens of a new one, and the new
/// codes, which are shown only in this response.
#[utoipa::path(
    post,
    path = "/auth/mfa/recovery-codes",
    operation_id = "mfa-recovery-codes",
    tag = "Second factor",
    security(("bearer" = [])),
    request_body = MfaRecoveryCodesRequest,
    responses(
        (status = 200, description = "The new codes; every other session has ended", body = MfaRecoveryCodesResponse),
        CodeProblems, TokenProblems, ReauthenticationProblems, NotFoundProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let user = caller.profile.user;
    let MfaRecoveryCodesRequest { password: OwnPassword(password), code } =
        request.read_again(&app.config, caller.has_password(app))?;
    if !caller.profile.mfa_enabled {
        return Err(ApiError::NotFound);
    }
    let keys = TokenKeys::of(app, ctx).await?;
    let proved = caller.reauthenticate(app, ctx, password.as_ref(), code.as_ref());
    let (keys, proved) = tokio::join!(keys.current(app, ctx), proved);
    let (proved, keys) = (proved?, keys?);

    let codes = RecoveryCodes::generate()?;
    let stored = codes
        .to_stored(&keys.newest_secret(app, ctx).writing.totp, user)
        .map_err(|error| ApiError::Internal(error.into()))?;
    let proof = StepUp { first: proved.first, second_factor: true };
    let (renewal, tokens) = token_pair::renewed_session(app, ctx, &keys, &caller, proof)?;
    let change = app.store.replace_recovery_codes(&caller.profile, &stored, renewal, ctx.now);
    let notice = (ctx, &caller.profile, Notice::RecoveryCodesReplaced);
    match app.notify_when(Change::Done, change, notice).await? {
        Change::Done => {
            Ok(Response::json(StatusCode::OK, &MfaRecoveryCodesResponse { recovery_codes: codes.reveal(), tokens }))
        }
        Change::Overtaken => Err(caller.overtaken(app, ctx, second_factor::used(code.as_ref())).await),
    }
}
