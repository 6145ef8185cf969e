//! A refresh token in place of an access token, for requests that end sessions: a client whose access token has expired
//! still has it.

use crate::{
    app::App,
    domain::proof::Factor,
    error::{ApiError, TokenProblem},
    http::{Request, context::Context, members::SealedRefreshToken},
    tokens::refresh::RefreshToken,
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
pub async fn of_body(app: &App, ctx: &Context, request: &Request) -> Result<RefreshToken, ApiError> {
    let text = if request.has_body() {
        let RefreshTokenRequest { refresh_token } = request.read(&app.config)?;
        refresh_token.map(|SealedRefreshToken(text)| text)
    } else {
        None
    };
    let text = text.ok_or(ApiError::InvalidToken(TokenProblem::Missing))?;
    let secret = app.keyring.secret(ctx.now).await?;
    let token = RefreshToken::open(&secret.refresh_token, &text).map_err(TokenProblem::from);
    let token = token.map_err(ApiError::InvalidToken)?;
    ctx.audit.factor(Factor::RefreshToken);
    Ok(token)
}
