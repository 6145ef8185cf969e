//! Responses to requests that end the caller's session or login, and are repeated because the response was lost
//! (docs/adr/0029-a-lost-confirmation.md).

use super::{admission, second_factor, waiting};
use crate::{
    app::App,
    base::id::{SessionId, UserId},
    domain::{otp::OtpCode, proof::Proof, recovery_code::RecoveryCodes, repeat::RepeatMac},
    error::{ApiError, TokenProblem},
    flows::{
        caller::{Caller, bearer_claims},
        token_pair::{TokenKeys, TokenResponse},
    },
    http::{Request, context::Context},
    store::{Ended, FactorUse, RepeatedSession, TokenSession, UsedCode},
};

/// Returns the hash of a caller's request that ends the session.
pub async fn of_session(
    app: &App,
    ctx: &Context,
    caller: &Caller,
    purpose: &str,
    code: &OtpCode,
) -> Result<RepeatMac, ApiError> {
    let secret = app.keyring.secret(ctx.now).await?;
    Ok(RepeatMac::of_session(&secret.counting.otp.key, caller.session, purpose, code))
}

/// Returns the session that the same request has started, if its response was lost. A try is counted like every other.
pub async fn repeated(
    app: &App,
    ctx: &Context,
    user: UserId,
    ended: Ended,
    request: &RepeatMac,
) -> Result<Option<RepeatedSession>, ApiError> {
    let found = app.store.repeated_session(user, ended, request, ctx.now);
    let found = admission::admit_unguessable(app, ctx, found).await?;
    if let Some(RepeatedSession { session, .. }) = &found {
        ctx.audit.session(session.user, session.id);
        ctx.audit.reason("already-done");
    }
    Ok(found)
}

/// The same for a request whose access token is of the session that it ended. None means that the response says so: the
/// change was made, and the session has ended with it.
pub async fn repeated_with_ended_session(
    app: &App,
    ctx: &Context,
    request: &Request,
    purpose: &str,
    code: &OtpCode,
) -> Result<RepeatedSession, ApiError> {
    let claims = bearer_claims(app, ctx, request).await?;
    let secret = app.keyring.secret(ctx.now).await?;
    let mac = RepeatMac::of_session(&secret.counting.otp.key, claims.sid, purpose, code);
    let found = repeated(app, ctx, claims.sub, Ended::Session(claims.sid), &mac).await?;
    found.ok_or(ApiError::InvalidToken(TokenProblem::SessionRenewed))
}

/// Returns the hash of a request of this session that shows this second factor; none if it shows none.
pub async fn by_proof(
    app: &App,
    ctx: &Context,
    session: SessionId,
    purpose: &str,
    proof: Option<&Proof>,
) -> Result<Option<RepeatMac>, ApiError> {
    let Some(proof) = proof else { return Ok(None) };
    let secret = app.keyring.secret(ctx.now).await?;
    Ok(Some(RepeatMac::of_proofs(&secret.counting.otp.key, session, purpose, (None, Some(proof)))))
}

/// Returns the session that the same request has started in place of the one of its access token. An error means that the
/// response says so: the change was made, and the session has ended with it.
pub async fn repeated_by_proof(
    app: &App,
    ctx: &Context,
    request: &Request,
    purpose: &str,
    proof: &Proof,
) -> Result<RepeatedSession, ApiError> {
    let renewed = || ApiError::InvalidToken(TokenProblem::SessionRenewed);
    let claims = bearer_claims(app, ctx, request).await?;
    let mac = by_proof(app, ctx, claims.sid, purpose, Some(proof)).await?.ok_or_else(renewed)?;
    repeated(app, ctx, claims.sub, Ended::Session(claims.sid), &mac).await?.ok_or_else(renewed)
}

/// Returns the recovery codes that a repeated request has shown the first time: derived by the same keys, although others
/// may write by now. None if it showed none, or if these keys have leaked.
pub async fn recovery_codes(
    app: &App,
    ctx: &Context,
    found: &RepeatedSession,
) -> Result<Option<RecoveryCodes>, ApiError> {
    let Some(seed) = &found.recovery_seed else { return Ok(None) };
    let deriving = app.keyring.reading(seed.kid(), ctx.now).await?;
    Ok(deriving.map(|keys| RecoveryCodes::derive(&keys.recovery_code, found.session.user, seed)))
}

/// Returns the session that the same request has started which has used up a second factor, if none of its tokens was used
/// since: then the response was lost. Waits for it if that request may be under way.
pub async fn session_of_other(
    app: &App,
    ctx: &Context,
    user: UserId,
    by: &FactorUse,
) -> Result<Option<TokenSession>, ApiError> {
    let Some(session) = by.session else { return Ok(None) };
    let unused = || app.store.unused_session(user, session, ctx.now);
    let is_recent = by.until.since(ctx.now) + second_factor::UNDER_WAY >= second_factor::REPEATABLE;
    let mut found = unused().await?;
    for _ in 0..if is_recent { waiting::ASKED } else { 0 } {
        if found.is_some() {
            break;
        }
        // One that exists was used, or has ended, unless it has just been started.
        let exists = app.store.token_session(user, session).await?.is_some();
        if !exists {
            waiting::pause().await?;
        }
        found = unused().await?;
        if exists {
            break;
        }
    }
    if let Some(session) = &found {
        ctx.audit.session(session.user, session.id);
        ctx.audit.reason("already-done");
    }
    Ok(found)
}

/// Returns the tokens of the session that the use of a code has started, if none of them was used since: then the response
/// was lost. None without keys, which are read only for a request that asks for tokens.
pub async fn tokens_of_code(
    app: &App,
    ctx: &Context,
    keys: Option<&TokenKeys>,
    used: &UsedCode,
) -> Result<Option<TokenResponse>, ApiError> {
    let (Some(keys), Some((owner, session))) = (keys, used.session) else { return Ok(None) };
    let Some(session) = app.store.unused_session(owner, session, ctx.now).await? else { return Ok(None) };
    ctx.audit.session(owner, session.id);
    ctx.audit.reason("already-done");
    Ok(Some(TokenResponse::of_started_session(app, ctx, keys, &session).await?))
}

/// Returns the tokens of a session that a repeated request has started the first time.
pub async fn tokens(app: &App, ctx: &Context, found: &RepeatedSession) -> Result<TokenResponse, ApiError> {
    let keys = TokenKeys::of(app, ctx).await?.current(app, ctx).await?;
    TokenResponse::of_started_session(app, ctx, &keys, &found.session).await
}
