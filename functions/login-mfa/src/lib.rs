//! `POST /auth/login/mfa`: completes a login with a second step.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::time::Timestamp,
    domain::{
        password::{Password, Verdict},
        proof::{Factor, Proof, SignInMethod},
        repeat::RepeatMac,
    },
    error::TokenProblem,
    flows::{
        admission, second_factor, second_step,
        token_pair::{self, TokenKeys},
    },
    http::{
        StatusCode,
        members::{SecondStepProof, UnverifiedMfaToken},
        openapi::{CodeProblems, LimitProblems, PasswordProblems, ServerProblems, TokenProblems},
    },
    messages::Notice,
    request_body,
    store::{AskedAt, Credential, Profile, Receipt, SecondStep, WaitingSignIn},
    tokens::mfa::MfaClaims,
};

request_body! {
    /// The token of the first step and the proof that its problem asks for: a second factor, or the password.
    pub struct LoginMfaRequest {
        /// The `mfa_token` from the response of the first step, valid for five minutes.
        mfa_token: UnverifiedMfaToken,
        /// The TOTP code. `recovery_code` may be sent instead.
        proof: SecondStepProof,
    }
}

/// Complete a login with a second step
///
/// A TOTP code works once, in its half minute, the one before and the one after. After five wrong ones in a row, each
/// further try requires a wait of up to 15 minutes; after fifty, only a recovery code works. Recovery codes never wait;
/// a login allows ten. The password is accepted after `identity-required` only, and counts like a login. Repeating the
/// request gets the same session, if its tokens were not used.
#[utoipa::path(
    post,
    path = "/auth/login/mfa",
    operation_id = "login-mfa",
    tag = "Sign-in",
    request_body = LoginMfaRequest,
    responses(
        (status = 200, description = "The tokens of the new session", body = token_pair::TokenResponse),
        CodeProblems, TokenProblems, PasswordProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let LoginMfaRequest { mfa_token: UnverifiedMfaToken(mfa_token), proof } = request.read(&app.config)?;
    let claims = second_step::claims(app, ctx, &mfa_token).await?;
    ctx.audit.user(claims.sub);
    let keys = TokenKeys::of(app, ctx).await?;
    let waiting = app.store.waiting_account(claims.sub, claims.jti, ctx.now);
    let (keys, waiting) = tokio::join!(keys.current(app, ctx), waiting);
    let (keys, waiting) = (keys?, waiting?);
    // Judged by the key set that was read just now: the key of the first step may have been removed since.
    second_step::claims(app, ctx, &mfa_token).await?;
    if let Some(phone) = waiting.as_ref().and_then(|waiting| waiting.profile.phone()) {
        ctx.audit.phone(phone);
    }
    match proof {
        SecondStepProof::Factor(factor) => by_factor(app, ctx, (&claims, waiting), &keys, &factor).await,
        SecondStepProof::Password(password) => {
            Box::pin(by_password(app, ctx, (&claims, waiting), &keys, &password)).await
        }
    }
}

const OVER: ApiError = ApiError::InvalidToken(TokenProblem::LoginOver);

async fn by_factor(
    app: &App,
    ctx: &Context,
    (claims, waiting): (&MfaClaims, Option<WaitingSignIn>),
    keys: &TokenKeys,
    proof: &Proof,
) -> Result<Response, ApiError> {
    let secret = app.keyring.secret(ctx.now).await?;
    let same_request = RepeatMac::of_second_step(&secret.counting.otp.key, claims.jti, proof);
    let repeated = || repeated(app, ctx, keys, claims, &same_request);
    let Some(waiting) = waiting else { return repeated().await?.ok_or(OVER) };
    let profile = &waiting.profile;
    let code = match second_factor::judge(app, ctx, profile.user, proof, AskedAt::Login(claims.jti)).await {
        Ok(code) => code,
        // Another request used the code a moment ago, perhaps for this login.
        Err(error @ (ApiError::UsedTotp | ApiError::WrongRecoveryCode | ApiError::InvalidToken(_))) => {
            return repeated().await?.ok_or(error);
        }
        Err(error) => return Err(error),
    };
    let how = (waiting.method, true);
    let (session, answer) = token_pair::new_session(app, ctx, keys, profile.user, profile.epoch, how)?;
    let id = session.id;
    let step = (claims.jti, &same_request, Timestamp::from_unix_seconds(claims.exp));
    let completed = app.store.complete_second_step(&waiting, step, Some(&code), session, ctx.now);
    match admission::with_right_try(app, ctx, completed).await? {
        SecondStep::Done => {
            ctx.audit.session(profile.user, id);
            if let (Proof::Recovery(_), Some(phone)) = (proof, profile.phone()) {
                app.notify(ctx, phone, Notice::RecoveryCodeUsed).await;
            }
            Ok(Response::json(StatusCode::OK, &answer))
        }
        SecondStep::CodeUsed => repeated().await?.ok_or_else(|| second_factor::wrong(proof)),
        SecondStep::Ended => repeated().await?.ok_or(OVER),
    }
}

/// Completes a sign-in that a code has begun on a phone which may have another owner. Whoever knows the password of the
/// account is its owner still. The try is counted where those of logins are.
async fn by_password(
    app: &App,
    ctx: &Context,
    (claims, waiting): (&MfaClaims, Option<WaitingSignIn>),
    keys: &TokenKeys,
    password: &Password,
) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Password)?;
    let profile = match &waiting {
        // The password was the first step, or the second factor is to be the second one.
        Some(waiting) if waiting.proved_at.is_none() || waiting.profile.mfa_enabled => {
            return Err(ApiError::invalid_field("/code", &"is required, or `recovery_code` instead"));
        }
        Some(waiting) => waiting.profile.clone(),
        None => app.store.profile(claims.sub).await?.ok_or(OVER)?,
    };
    let (credential, receipt) = right_credential(app, ctx, &profile, password).await?;
    let secret = app.keyring.secret(ctx.now).await?;
    let hash = credential.password_hash.as_ref();
    let same_request = RepeatMac::of_effect(&secret.counting.otp.key, profile.user, profile.epoch, hash);
    let Some(waiting) = waiting else {
        app.store.take_back(receipt).await?;
        return repeated(app, ctx, keys, claims, &same_request).await?.ok_or(OVER);
    };
    let how = (SignInMethod::Password, false);
    let (session, answer) = token_pair::new_session(app, ctx, keys, profile.user, profile.epoch, how)?;
    let id = session.id;
    let step = (claims.jti, &same_request, Timestamp::from_unix_seconds(claims.exp));
    let completed = app.store.complete_second_step(&waiting, step, None, session, ctx.now);
    match admission::with_right_try(app, ctx, completed).await? {
        SecondStep::Done => {
            ctx.audit.session(profile.user, id);
            Ok(Response::json(StatusCode::OK, &answer))
        }
        SecondStep::CodeUsed | SecondStep::Ended => repeated(app, ctx, keys, claims, &same_request).await?.ok_or(OVER),
    }
}

/// Counts a try of the password, compares it, and returns the credential that it is right for, with the receipt of the try.
async fn right_credential(
    app: &App,
    ctx: &Context,
    profile: &Profile,
    password: &Password,
) -> Result<(Credential, Receipt), ApiError> {
    let phone = profile.phone().ok_or(OVER)?;
    let attempt = app.store.spend_login_attempt(phone, ctx.now);
    let admitted = admission::admit_with_receipt(app, ctx, attempt).await?;
    let admitted = admitted.and_then(|(credential, receipt)| Some((credential?, receipt)));
    let is_same = |found: &Credential| (found.user, found.epoch) == (profile.user, profile.epoch);
    let (credential, receipt) = admitted.filter(|(credential, _)| is_same(credential)).ok_or(OVER)?;
    ctx.audit.factor(Factor::Password);
    match app.hasher.verify_alike(password, credential.password_hash.as_ref(), app.config.legacy_cost)? {
        Verdict::Wrong => Err(ApiError::WrongPassword),
        Verdict::Right | Verdict::RightButOutdated => Ok((credential, receipt)),
    }
}

/// Answers a request that repeats the one that completed the login.
async fn repeated(
    app: &App,
    ctx: &Context,
    keys: &TokenKeys,
    claims: &MfaClaims,
    request: &RepeatMac,
) -> Result<Option<Response>, ApiError> {
    let tokens = second_step::repeated(app, ctx, keys, claims, request).await?;
    Ok(tokens.map(|tokens| Response::json(StatusCode::OK, &tokens)))
}
