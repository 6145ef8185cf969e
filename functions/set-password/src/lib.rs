//! `POST /auth/set-password`: sets the first password of an account that has none.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{
        password::NewPassword,
        proof::{Proof, SignInMethod},
    },
    flows::{
        caller::Caller,
        token_pair::{self, StepUp, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        openapi::{CodeProblems, LimitProblems, ServerProblems, SetPasswordProblems, TokenProblems},
    },
    messages::Notice,
    request_body,
    store::{Change, CodeAccount},
};

request_body! {
    /// The first password of an account.
    pub struct SetPasswordRequest {
        /// The password: at least 8 characters of any kind; not a common one, the phone, or the service's name.
        new_password: NewPassword,
        /// The TOTP code, required if a second factor is on. `recovery_code` may be sent instead.
        code: Option<Proof>,
    }
}

/// Set a first password
///
/// For an account without a password, whose owner has signed in by a code, or sent one to `POST /auth/step-up`, within ten
/// minutes. Every session ends; the response has the tokens of a new one.
#[utoipa::path(
    post,
    path = "/auth/set-password",
    operation_id = "set-password",
    tag = "Account",
    security(("bearer" = [])),
    request_body = SetPasswordRequest,
    responses(
        (status = 200, description = "The tokens of a new session; every other session has ended", body = TokenResponse),
        CodeProblems, TokenProblems, SetPasswordProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Password)?;
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let profile = &caller.profile;
    let SetPasswordRequest { new_password, code } = request.read(&app.config)?;
    if profile.has_password {
        return Err(ApiError::PasswordAlreadySet);
    }
    let new_password = new_password
        .not_the_phone(profile.home.number())
        .map_err(|why| ApiError::invalid_field("/new_password", &why))?;
    caller.require_recent_proof(ctx.now)?;

    let account = CodeAccount::from(profile);
    let keys = TokenKeys::of(app, ctx).await?;
    let shown = Box::pin(caller.require_factor(app, ctx, account, code.as_ref()));
    let (keys, shown) = tokio::join!(keys.current(app, ctx), shown);
    shown?;
    let new_hash = app.hasher.hash(&new_password)?;
    let proof = StepUp { first: None, second_factor: account.mfa_enabled };
    let (renewal, tokens) = token_pair::renewed_session(app, ctx, &keys?, &caller, proof)?;
    let change = app.store.change_password(&profile.home, account, &new_hash, renewal, ctx.now);
    let notice = (ctx, profile, Notice::PasswordChanged);
    match app.notify_when(Change::Done, change, notice).await? {
        Change::Done => Ok(Response::json(StatusCode::OK, &tokens)),
        // Another request was faster. Whatever it changed has ended this session.
        Change::Overtaken => Err(caller.overtaken(app, ctx, ApiError::PasswordAlreadySet).await),
    }
}
