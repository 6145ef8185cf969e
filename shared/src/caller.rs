//! Who is asking: an access token whose session still lives.

use crate::{
    access_token,
    app::App,
    context::Context,
    error::{ApiError, TokenProblem},
    http::Request,
    id::SessionId,
    store::Profile,
};

/// The user behind a request, and the session that they ask from.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account.
    pub profile: Profile,
    /// The session of the access token.
    pub session: SessionId,
}

impl Caller {
    /// Judges the bearer token, and then whether account and session still hold: one round trip. So a logout, a reset or
    /// a change of password is immediate here, whatever the token's lifetime.
    pub async fn authenticate(app: &App, ctx: &Context, request: &Request) -> Result<Self, ApiError> {
        let token = request.bearer_token()?;
        let key = app.signing_key()?.verifying();
        let claims = access_token::verify(token, key, app.issuer(&ctx.origin), &app.config.tokens.audience, ctx.now)?;

        let state = app.store.session_state(claims.sub, claims.sid).await?;
        match (state.profile, state.session) {
            (Some(profile), Some(session)) if session.is_alive(&profile, ctx.now) => {
                Ok(Self { profile, session: claims.sid })
            }
            _ => Err(ApiError::InvalidToken(TokenProblem::SessionEnded)),
        }
    }
}
