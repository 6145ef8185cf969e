//! `POST /auth/login/mfa`: completes a login with a second factor.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::time::Timestamp,
    domain::{proof::Proof, repeat::RepeatMac},
    error::TokenProblem,
    flows::{
        admission, repeats, second_factor,
        token_pair::{self, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        members::UnverifiedMfaToken,
        openapi::{CodeProblems, LimitProblems, ServerProblems, TokenProblems},
    },
    messages::Notice,
    request_body,
    store::{AskedAt, Ended, SecondStep},
    tokens::{
        mfa::{self, MfaClaims},
        signed::{InvalidSignedToken, Unverified},
    },
};

request_body! {
    /// The token of the first step and a second factor.
    pub struct LoginMfaRequest {
        /// The `mfa_token` from the response of `POST /auth/login`, valid for five minutes.
        mfa_token: UnverifiedMfaToken,
        /// The TOTP code. `recovery_code` may be sent instead.
        code: Proof,
    }
}

/// Complete a login with a second factor
///
/// A TOTP code works once, in its half minute, the one before and the one after. After five wrong ones in a row, each
/// further try requires a wait of up to 15 minutes; after fifty, only a recovery code works. Recovery codes never wait;
/// a login allows ten. Repeating the request gets the same session, if its tokens were not used.
#[utoipa::path(
    post,
    path = "/auth/login/mfa",
    operation_id = "login-mfa",
    tag = "Sign-in",
    request_body = LoginMfaRequest,
    responses(
        (status = 200, description = "The tokens of the new session", body = TokenResponse),
        CodeProblems, TokenProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let LoginMfaRequest { mfa_token: UnverifiedMfaToken(mfa_token), code: proof } = request.read(&app.config)?;
    let claims = claims(app, ctx, &mfa_token).await?;
    ctx.audit.user(claims.sub);
    let keys = TokenKeys::of(app, ctx).await?;
    let over = || ApiError::InvalidToken(TokenProblem::LoginOver);
    let waiting = app.store.waiting_account(claims.sub, claims.jti, ctx.now);
    let (keys, waiting) = tokio::join!(keys.current(app, ctx), waiting);
    let (keys, waiting) = (keys?, waiting?);
    let secret = app.keyring.secret(ctx.now).await?;
    let same_request = RepeatMac::of_second_step(&secret.counting.otp.key, claims.jti, &proof);
    let repeated = || repeated(app, ctx, &keys, &claims, &same_request);
    // Judged by the key set that was read just now: the key of the first step may have been removed since.
    self::claims(app, ctx, &mfa_token).await?;
    let Some((profile, method)) = waiting else { return repeated().await?.ok_or_else(over) };
    ctx.audit.phone(&profile.phone);

    let code = match second_factor::judge(app, ctx, profile.user, &proof, AskedAt::Login(claims.jti)).await {
        Ok(code) => code,
        // Another request used the code a moment ago, perhaps for this login.
        Err(error @ (ApiError::UsedTotp | ApiError::WrongRecoveryCode | ApiError::InvalidToken(_))) => {
            return repeated().await?.ok_or(error);
        }
        Err(error) => return Err(error),
    };
    let (session, answer) = token_pair::new_session(app, ctx, &keys, profile.user, profile.epoch, (method, true))?;
    let id = session.id;
    let step = (claims.jti, &same_request, Timestamp::from_unix_seconds(claims.exp));
    let completed = app.store.complete_second_step(&profile, step, &code, session, ctx.now);
    match admission::with_right_try(app, ctx, completed).await? {
        SecondStep::Done => {
            ctx.audit.session(profile.user, id);
            if let Proof::Recovery(_) = proof {
                app.notify(ctx, &profile.phone, Notice::RecoveryCodeUsed).await;
            }
            Ok(Response::json(StatusCode::OK, &answer))
        }
        SecondStep::CodeUsed => repeated().await?.ok_or_else(|| second_factor::wrong(&proof)),
        SecondStep::Ended => repeated().await?.ok_or_else(over),
    }
}

/// Returns the tokens of the session that the same request has started, if its response was lost.
async fn repeated(
    app: &App,
    ctx: &Context,
    keys: &TokenKeys,
    claims: &MfaClaims,
    request: &RepeatMac,
) -> Result<Option<Response>, ApiError> {
    let found = repeats::repeated(app, ctx, claims.sub, Ended::SecondStep(claims.jti), request).await?;
    let Some(found) = found else { return Ok(None) };
    Ok(Some(Response::json(StatusCode::OK, &TokenResponse::of_session(app, ctx, keys, &found.session).await?)))
}

async fn claims(app: &App, ctx: &Context, token: &str) -> Result<MfaClaims, ApiError> {
    let refused = |why: InvalidSignedToken| ApiError::InvalidToken(TokenProblem::NotAnMfaToken(why));
    let token = Unverified::<MfaClaims>::read(token).map_err(refused)?;
    let key = app.keyring.verifying_key(token.kid(), ctx.now).await?;
    let key = key.ok_or_else(|| refused(InvalidSignedToken::WrongHeader))?;
    let audience = mfa::audience(&app.config.tokens.audience);
    token.verify(&key, app.issuer(ctx.url.as_deref())?, &audience, ctx.now).map_err(refused)
}
