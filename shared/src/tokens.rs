//! The pair of tokens that a login and a refresh hand out.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access_token::{AccessToken, Grant},
    app::App,
    context::Context,
    error::ApiError,
    id::{SessionId, UserId},
    refresh_token::{RefreshToken, SessionSalt},
    time::Timestamp,
};

/// The session that tokens are handed out for.
#[derive(Clone, Copy, Debug)]
pub struct TokenSession {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub id: SessionId,
    /// Which refresh token of it is next.
    pub generation: u32,
    /// What its refresh tokens are bound to.
    pub salt: SessionSalt,
    /// Its epoch.
    pub epoch: u64,
    /// When its user proved who they are.
    pub authenticated_at: Timestamp,
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
pub struct TokenResponse {
    /// Goes into `Authorization: Bearer …`.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiIsImtpZCI6I…")]
    access_token: String,
    /// Always `bearer`.
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// How long the access token lives, in seconds.
    #[schema(example = 900)]
    expires_in: u64,
    /// Goes to `POST /auth/refresh`, once, when the access token has expired. Keep it as safe as a password.
    #[schema(example = "AVwMeg5qVUxAnkQPen08ijs…")]
    refresh_token: String,
}

impl TokenResponse {
    /// Signs the access token and makes the refresh token.
    pub fn issue(app: &App, ctx: &Context, session: &TokenSession) -> Result<Self, ApiError> {
        let settings = &app.config.tokens;
        let grant = Grant {
            issuer: app.issuer(&ctx.origin),
            audience: &settings.audience,
            user: session.user,
            session: session.id,
            epoch: session.epoch,
            authenticated_at: session.authenticated_at,
            lifetime: settings.access_ttl,
        };
        let key = &app.secret()?.refresh_token;
        let refresh_token = RefreshToken::new(key, session.user, session.id, session.generation, &session.salt);
        Ok(Self {
            access_token: AccessToken::issue(app.signing_key()?, grant, ctx.now)?.reveal().to_owned(),
            token_type: "bearer",
            expires_in: settings.access_ttl.as_secs(),
            refresh_token: refresh_token.reveal(key),
        })
    }
}
