//! A refresh token in place of an access token, for requests that end sessions: a client whose access token has expired
//! still has it.

use std::sync::Arc;

use crate::{
    app::App,
    domain::proof::Factor,
    error::{ApiError, TokenProblem},
    http::{Request, context::Context, members::SealedRefreshToken},
    tokens::{
        refresh::{NotARefreshToken, RefreshToken},
        secret::Keys,
    },
};

crate::request_body! {
    /// The refresh token of the session, if the access token has expired.
    pub struct RefreshTokenRequest {
        /// The refresh token as it was issued.
        refresh_token: Option<SealedRefreshToken>,
    }
}

/// Returns the refresh token in the body of a request, which may have none. Our seal proves which session it is of;
/// whether it was spent is not checked.
pub async fn of_body(app: &App, ctx: &Context, request: &Request) -> Result<(RefreshToken, Arc<Keys>), ApiError> {
    let text = if request.has_body() {
        let RefreshTokenRequest { refresh_token } = request.read(&app.config)?;
        refresh_token.map(|SealedRefreshToken(text)| text)
    } else {
        None
    };
    let text = text.ok_or(ApiError::InvalidToken(TokenProblem::Missing))?;
    let opened = open(app, ctx, &text).await?;
    ctx.audit.factor(Factor::RefreshToken);
    Ok(opened)
}

/// Reads a refresh token that we issued, and returns the keys of the version that it was made with. Everything else is
/// refused before the table is read. So is a token whose key has leaked.
pub async fn open(app: &App, ctx: &Context, text: &str) -> Result<(RefreshToken, Arc<Keys>), ApiError> {
    let refused = |why: NotARefreshToken| ApiError::InvalidToken(why.into());
    let kid = RefreshToken::kid_of(text).map_err(refused)?;
    let keys = app.keyring.reading(kid, ctx.now).await?;
    let keys = keys.ok_or(ApiError::InvalidToken(TokenProblem::WithdrawnKey))?;
    let token = RefreshToken::open(&keys.refresh_token, text).map_err(refused)?;
    Ok((token, keys))
}
