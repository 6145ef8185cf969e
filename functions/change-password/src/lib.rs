//! `POST /auth/change-password`: changes the password of a caller who knows the current one.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{
        password::{NewPassword, Password},
        proof::{Proof, SignInMethod},
    },
    flows::{
        caller::Caller,
        token_pair::{self, StepUp, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        openapi::{
            CodeProblems, LimitProblems, MethodProblems, ReauthenticationProblems, ServerProblems, TokenProblems,
        },
    },
    messages::Notice,
    request_body,
    store::{Change, Renewal},
};

request_body! {
    /// The current password and the new one.
    pub struct ChangePasswordRequest {
        /// The current password.
        old_password: Password,
        /// The new password: at least 8 characters of any kind; not a common one, the phone, or the service's name.
        new_password: NewPassword = "newPass123",
        /// The TOTP code, if a second factor is on. `recovery_code` may be sent instead.
        code: Option<Proof>,
        /// Whether to respond with the tokens of a new session. Without it, the caller signs in again.
        tokens: bool,
    }
}

/// Change the password
///
/// Every session ends, this one included: sign in again, or send `"tokens": true` to get the tokens of a new session at
/// once. If a second factor is on, it is required, too. A wrong current password counts like a wrong password at login.
#[utoipa::path(
    post,
    path = "/auth/change-password",
    operation_id = "change-password",
    tag = "Account",
    security(("bearer" = [])),
    request_body = ChangePasswordRequest,
    responses(
        (status = 200, description = "The tokens of a new session, with `tokens`; every other session has ended",
         body = TokenResponse),
        (status = 204, description = "The password was changed; every session has ended"),
        CodeProblems, MethodProblems, TokenProblems, ReauthenticationProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Password)?;
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let profile = &caller.profile;
    let ChangePasswordRequest { old_password, new_password, code, tokens } = request.read(&app.config)?;
    let new_password = new_password
        .not_the_phone(profile.home.number())
        .map_err(|why| ApiError::invalid_field("/new_password", &why))?;

    let keys = if tokens { Some(TokenKeys::of(app, ctx).await?) } else { None };
    let current = TokenKeys::current_if(keys, app, ctx);
    let proved = caller.reauthenticate_for_new_password(app, ctx, &old_password, code.as_ref());
    let (keys, account) = tokio::join!(current, proved);
    let (account, keys) = match account {
        // It may have been right until the same request, which arrived a moment earlier, changed it.
        Err(ApiError::WrongPassword) => return Err(caller.overtaken(app, ctx, ApiError::WrongPassword).await),
        account => (account?, keys?),
    };
    let new_hash = app.hasher.hash(&new_password)?;
    let (renewal, answer) = match keys {
        Some(keys) => {
            let proof = StepUp { first: Some(SignInMethod::Password), second_factor: account.mfa_enabled };
            let (renewal, tokens) = token_pair::renewed_session(app, ctx, &keys, &caller, proof)?;
            (renewal, Response::json(StatusCode::OK, &tokens))
        }
        None => (Renewal { old: caller.session, new: None, repeat: None }, Response::no_content()),
    };
    let change = app.store.change_password(&profile.home, account, &new_hash, renewal, ctx.now);
    let notice = (ctx, profile, Notice::PasswordChanged);
    match app.notify_when(Change::Done, change, notice).await? {
        Change::Done => Ok(answer),
        // Another request was faster. If it came from this session, the old password is no longer right; else it may
        // have ended this session.
        Change::Overtaken => Err(caller.overtaken(app, ctx, ApiError::WrongPassword).await),
    }
}
