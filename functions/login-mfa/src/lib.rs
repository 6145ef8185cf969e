//! `POST /auth/login/mfa`: completes a login with a second factor.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::proof::Proof,
    error::TokenProblem,
    flows::{
        second_factor,
        token_pair::{self, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        members::UnverifiedMfaToken,
        openapi::{CodeProblems, LimitProblems, ServerProblems, TokenProblems},
    },
    messages::Notice,
    request_body,
    store::{AskedAt, SecondStep},
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
/// a login allows ten.
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
    let (keys, (profile, method)) = (keys?, waiting?.ok_or_else(over)?);
    // Judged by the key set that was read just now: the key of the first step may have been removed since.
    self::claims(app, ctx, &mfa_token).await?;
    ctx.audit.phone(&profile.phone);

    let code = second_factor::judge(app, ctx, profile.user, &proof, AskedAt::Login(claims.jti)).await?;
    let (session, answer) = token_pair::new_session(app, ctx, &keys, profile.user, profile.epoch, (method, true))?;
    let id = session.id;
    match app.store.complete_second_step(&profile, claims.jti, &code, session, ctx.now).await? {
        SecondStep::Done => {
            ctx.audit.session(profile.user, id);
            if let Proof::Recovery(_) = proof {
                app.notify(ctx, &profile.phone, Notice::RecoveryCodeUsed).await;
            }
            Ok(Response::json(StatusCode::OK, &answer))
        }
        SecondStep::CodeUsed => Err(second_factor::wrong(&proof)),
        SecondStep::Ended => Err(over()),
    }
}

async fn claims(app: &App, ctx: &Context, token: &str) -> Result<MfaClaims, ApiError> {
    let refused = |why: InvalidSignedToken| ApiError::InvalidToken(TokenProblem::NotAnMfaToken(why));
    let token = Unverified::<MfaClaims>::read(token).map_err(refused)?;
    let key = app.keyring.verifying_key(token.kid(), ctx.now).await?;
    let key = key.ok_or_else(|| refused(InvalidSignedToken::WrongHeader))?;
    let audience = mfa::audience(&app.config.tokens.audience);
    token.verify(&key, app.issuer(ctx.url.as_deref())?, &audience, ctx.now).map_err(refused)
}
