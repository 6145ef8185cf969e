//! `POST /auth/start-anew`: gives a phone that has changed hands to a new account.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::{id::UserId, time::Timestamp},
    domain::{
        password::{NewPassword, PasswordHash},
        phone::Phone,
        proof::SignInMethod,
        repeat::RepeatMac,
    },
    error::TokenProblem,
    flows::{
        second_step,
        token_pair::{self, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        members::UnverifiedMfaToken,
        openapi::{BodyProblems, PhoneProblems, ServerProblems, StartAnewProblems, Throttled, TokenProblems},
    },
    log::metrics::Metric,
    messages::Notice,
    request_body,
    store::{CodeAccount, NewLife, StartAnew, WaitingSignIn},
};

request_body! {
    /// The token of the first step, and how the new account is opened.
    pub struct StartAnewRequest {
        /// The `mfa_token` of an `identity-required` problem, valid for five minutes.
        mfa_token: UnverifiedMfaToken,
        /// The password of the new account. Without it, the account has that of the registration which began this, or none
        /// and is opened by codes.
        new_password: Option<NewPassword>,
    }
}

/// Start anew with a phone that had another owner
///
/// Creates an account for a caller whose code has proved that they have the phone, and signs in to it. The account that had
/// the phone is parked: its sessions end, and its owner may come back to it by `POST /auth/recover` until it is deleted
/// (`PARKED_ACCOUNT_DAYS`). Nothing of it is shown. Repeating the request gets the same session, if its tokens were not used.
#[utoipa::path(
    post,
    path = "/auth/start-anew",
    operation_id = "start-anew",
    tag = "Sign-in",
    request_body = StartAnewRequest,
    responses(
        (status = 200, description = "The tokens of the new account's first session", body = TokenResponse),
        BodyProblems, TokenProblems, StartAnewProblems, PhoneProblems, Throttled, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let StartAnewRequest { mfa_token: UnverifiedMfaToken(mfa_token), new_password } = request.read(&app.config)?;
    if !app.config.sign_up_is_open {
        return Err(ApiError::SignUpClosed);
    }
    let claims = second_step::claims(app, ctx, &mfa_token).await?;
    let keys = TokenKeys::of(app, ctx).await?;
    let waiting = app.store.waiting_account(claims.sub, claims.jti, ctx.now);
    let (keys, waiting) = tokio::join!(keys.current(app, ctx), waiting);
    let (keys, waiting) = (keys?, waiting?);
    // Judged by the key set that was read just now: the key of the first step may have been removed since.
    second_step::claims(app, ctx, &mfa_token).await?;

    let over = || ApiError::InvalidToken(TokenProblem::LoginOver);
    let secret = app.keyring.secret(ctx.now).await?;
    let same_request = RepeatMac::of_start_anew(&secret.counting.otp.key, claims.jti);
    let repeated = async || {
        let tokens = second_step::repeated(app, ctx, &keys, &claims, &same_request).await?;
        tokens.map(|tokens| Response::json(StatusCode::OK, &tokens)).ok_or_else(over)
    };
    let Some(waiting) = waiting else { return repeated().await };
    let old = &waiting.profile;
    // Only a code to the phone begins anew: a password shows nothing of who has it.
    let phone = old.phone().filter(|_| waiting.proved_at.is_some()).ok_or_else(over)?;
    ctx.audit.phone(phone);
    let credential = app.store.credential_of(phone).await?.filter(|credential| credential.user == old.user);
    let credential = credential.ok_or_else(over)?;
    if !app.is_proof_old(credential.phone_proved_at, ctx.now) {
        // Its owner has proved the phone, a moment ago or not long before.
        return Err(over());
    }
    // No account is made in a country that has been closed since.
    let not_served = |why| ApiError::not_served("/mfa_token", &why);
    app.check_recipient(phone).map_err(not_served)?;
    let password_hash = password_hash(app, &waiting, phone, new_password)?;

    let user = UserId::generate()?;
    let how = (SignInMethod::Code, false);
    let (mut session, tokens) =
        token_pair::new_session(app, ctx, &keys, user, CodeAccount::to_be_created(user).session_epoch(), how)?;
    if let Some(at) = waiting.proved_at {
        session.authentication.first_factor_at = at;
    }
    let id = session.id;
    let old_ends_at = ctx.now.plus(app.config.parked_account_time);
    let new = NewLife { user, phone, password_hash: password_hash.as_ref(), old_ends_at };
    let step = (claims.jti, &same_request, Timestamp::from_unix_seconds(claims.exp));
    match Box::pin(app.store.start_anew(old, &credential, new, step, session, ctx.now)).await? {
        StartAnew::Done => {}
        StartAnew::Occupied => return Err(ApiError::PhoneTaken),
        // Another request was faster: this one, sent twice; or another that changed the account.
        StartAnew::Over => return repeated().await,
    }
    app.metrics.count(Metric::AccountsParked, phone.country_code(), ctx.now);
    ctx.audit.session(user, id);
    ctx.audit.former(old.user);
    // Should a thief have read the code elsewhere, the owner of the phone learns of it here.
    app.notify(ctx, phone, Notice::StartedAnew).await;
    Ok(Response::json(StatusCode::OK, &tokens))
}

/// Returns the hash of the new account's password, if it gets one. Where codes do not sign in, it must.
fn password_hash(
    app: &App,
    waiting: &WaitingSignIn,
    phone: &Phone,
    new_password: Option<NewPassword>,
) -> Result<Option<PasswordHash>, ApiError> {
    let Some(new_password) = new_password else {
        let hash = waiting.password_hash.clone();
        if hash.is_none() && app.require_method(SignInMethod::Code).is_err() {
            return Err(ApiError::invalid_field("/new_password", &"is required, since codes do not sign in here"));
        }
        return Ok(hash);
    };
    app.require_method(SignInMethod::Password)?;
    let refused = |why| ApiError::invalid_field("/new_password", &why);
    Ok(Some(app.hasher.hash(&new_password.not_the_phone(phone).map_err(refused)?)?))
}
