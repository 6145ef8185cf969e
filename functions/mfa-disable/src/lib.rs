//! `POST /auth/mfa/disable`: switches the second factor off.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::proof::Proof,
    flows::{
        caller::Caller,
        second_factor,
        token_pair::{self, StepUp, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        members::OwnPassword,
        openapi::{
            CodeProblems, FactorProblems, LimitProblems, ReauthenticationProblems, ServerProblems, TokenProblems,
        },
    },
    messages::Notice,
    request_body,
    store::Change,
};

request_body! {
    /// The account's password and its second factor.
    pub struct MfaDisableRequest {
        /// The account's password, required if it has one. Without one, the sign-in or `POST /auth/step-up` must be at most
        /// ten minutes old.
        password: OwnPassword,
        /// The TOTP code. `recovery_code` may be sent instead.
        code: Option<Proof>,
    }
}

/// Switch the second factor off
///
/// The recovery codes stop working. Every session ends; the response has the tokens of a new one.
#[utoipa::path(
    post,
    path = "/auth/mfa/disable",
    operation_id = "mfa-disable",
    tag = "Second factor",
    security(("bearer" = [])),
    request_body = MfaDisableRequest,
    responses(
        (status = 200, description = "The tokens of a new session; every other session has ended", body = TokenResponse),
        CodeProblems, TokenProblems, ReauthenticationProblems, FactorProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let MfaDisableRequest { password: OwnPassword(password), code } =
        request.read_again(&app.config, caller.has_password(app))?;
    if !caller.profile.mfa_enabled {
        return Err(ApiError::MfaNotEnabled);
    }
    let keys = TokenKeys::of(app, ctx).await?;
    let proved = caller.reauthenticate(app, ctx, password.as_ref(), code.as_ref());
    let (keys, proved) = tokio::join!(keys.current(app, ctx), proved);
    let (proved, keys) = (proved?, keys?);
    let proof = StepUp { first: proved.first, second_factor: true };
    let (renewal, tokens) = token_pair::renewed_session(app, ctx, &keys, &caller, proof)?;
    let change = app.store.switch_factor_off(&caller.profile, Some(renewal), ctx.now);
    let notice = (ctx, &caller.profile, Notice::SecondFactorOff);
    match app.notify_when(Change::Done, change, notice).await? {
        Change::Done => Ok(Response::json(StatusCode::OK, &tokens)),
        // The account changed after the code was compared: the caller needs another code for the account as it is now.
        Change::Overtaken => Err(caller.overtaken(app, ctx, second_factor::used(code.as_ref())).await),
    }
}
