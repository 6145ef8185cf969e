//! `POST /auth/mfa/disable`: switches the second factor off.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::{password::Password, proof::Proof},
    flows::{
        caller::Caller,
        second_factor,
        token_pair::{self, StepUp, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        openapi::{
            CodeProblems, LimitProblems, NotFoundProblems, ReauthenticationProblems, ServerProblems, TokenProblems,
        },
    },
    messages::Notice,
    store::Change,
};
use utoipa::ToSchema;

/// The account's password and its second factor.
#[derive(ToSchema)]
pub struct MfaDisableRequest {
    /// The account's password, required if it has one. Without one, the sign-in or `POST /auth/step-up` must be at most
    /// ten minutes old.
    #[schema(value_type = Option<String>, format = Password, example = "mypassword")]
    password: Option<Password>,
    /// The TOTP code. `recovery_code` may be sent instead.
    #[schema(value_type = String, example = "654321")]
    code: Option<Proof>,
}

impl FromFields for MfaDisableRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (password, code) = (fields.password_again("password"), fields.proof());
        Some(Self { password: password?, code })
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
        CodeProblems, TokenProblems, ReauthenticationProblems, NotFoundProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let MfaDisableRequest { password, code } = request.read_again(&app.config, caller.has_password(app))?;
    if !caller.profile.mfa_enabled {
        return Err(ApiError::NotFound);
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
