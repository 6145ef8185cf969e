//! Second steps of sign-ins: the tokens that name them, and the responses to requests that are repeated.

use super::{
    repeats,
    token_pair::{TokenKeys, TokenResponse},
};
use crate::{
    app::App,
    base::id::{TokenId, UserId},
    domain::repeat::RepeatMac,
    error::{ApiError, TokenProblem},
    http::context::Context,
    store::Ended,
    tokens::{
        mfa::{self, MfaClaims, MfaToken, SealedUser},
        signed::{InvalidSignedToken, Unverified},
    },
};

/// Makes the token that names a second step.
pub fn token(app: &App, ctx: &Context, keys: &TokenKeys, user: UserId, id: TokenId) -> Result<MfaToken, ApiError> {
    let (issuer, audience) = (app.issuer(ctx.url.as_deref())?, &app.config.tokens.audience);
    Ok(MfaToken::issue((&keys.signing, &keys.secret.writing.activation), issuer, audience, user, id, ctx.now)?)
}

/// Verifies the token of a first step.
pub async fn claims(app: &App, ctx: &Context, token: &str) -> Result<MfaClaims, ApiError> {
    let refused = |why: InvalidSignedToken| ApiError::InvalidToken(TokenProblem::NotAnMfaToken(why));
    let token = Unverified::<MfaClaims<SealedUser>>::read(token).map_err(refused)?;
    let key = app.keyring.verifying_key(token.kid(), ctx.now).await?;
    let key = key.ok_or_else(|| refused(InvalidSignedToken::WrongHeader))?;
    let audience = mfa::audience(&app.config.tokens.audience);
    let claims = token.verify(&key, app.issuer(ctx.url.as_deref())?, &audience, ctx.now).map_err(refused)?;
    let keys = app.keyring.reading(claims.sub.kid().map_err(refused)?, ctx.now).await?;
    // A key that has leaked or was retired proves nothing.
    let keys = keys.ok_or_else(|| refused(InvalidSignedToken::WrongSignatureOrClaims))?;
    claims.open(&keys.activation).map_err(refused)
}

/// Returns the tokens of the session that the same request has started, if its response was lost.
pub async fn repeated(
    app: &App,
    ctx: &Context,
    keys: &TokenKeys,
    claims: &MfaClaims,
    request: &RepeatMac,
) -> Result<Option<TokenResponse>, ApiError> {
    let found = repeats::repeated(app, ctx, claims.sub, Ended::SecondStep(claims.jti), request).await?;
    let Some(found) = found else { return Ok(None) };
    Ok(Some(TokenResponse::of_started_session(app, ctx, keys, &found.session).await?))
}
