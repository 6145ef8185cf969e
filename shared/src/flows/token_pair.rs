//! The pair of tokens that a login and a refresh return.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{App, Disagreement},
    base::id::{SessionId, UserId},
    error::ApiError,
    http::context::Context,
    store::{NewSession, TokenSession},
    tokens::{
        access::{AccessToken, Grant},
        keys::{Secret, SigningKey},
        refresh::{RefreshToken, SessionSalt},
    },
};

/// The keys that make tokens.
#[derive(Clone, Debug)]
pub struct TokenKeys {
    /// The key that signs access tokens.
    pub signing: SigningKey,
    /// The secret that authenticates refresh tokens.
    pub secret: Arc<Secret>,
}

impl TokenKeys {
    /// Reads the keys. Endpoints call this before they change anything, because without keys they could return no
    /// tokens.
    pub async fn of(app: &App, ctx: &Context) -> Result<Self, ApiError> {
        let (signing, secret) = tokio::try_join!(app.keyring.signing_key(ctx.now), app.keyring.secret(ctx.now))?;
        Ok(Self { signing, secret })
    }

    /// Returns the keys with the one that signs by what is published now. Endpoints call this beside their first
    /// access to the table, so that no token is signed with a key that was removed a moment ago.
    pub async fn current(self, app: &App, ctx: &Context) -> Result<Self, ApiError> {
        let signing = app.keyring.current_signing_key(ctx.now).await?;
        if app.keyring.secret_has_removed_key(ctx.now).await {
            app.report_disagreement(Disagreement::Secret, ctx.now);
        }
        Ok(Self { signing, ..self })
    }
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
pub struct TokenResponse {
    /// The access token. Send it as `Authorization: Bearer …`.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiIsImtpZCI6I…")]
    access_token: String,
    /// The type of the access token: always `bearer`.
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// The lifetime of the access token, in seconds.
    #[schema(example = 900)]
    expires_in: u64,
    /// The refresh token. Send it to `POST /auth/refresh`, once, when the access token has expired. Keep it as safe as
    /// a password.
    #[schema(example = "AVwMeg5qVUxAnkQPen08ijs…")]
    refresh_token: String,
}

/// Returns a session that is about to be started, and its tokens. The tokens are made first, so that no session is
/// started whose tokens cannot be returned.
pub fn new_session(
    app: &App,
    ctx: &Context,
    keys: &TokenKeys,
    user: UserId,
    epoch: u64,
    second_factor: bool,
) -> Result<(NewSession, TokenResponse), ApiError> {
    let session = NewSession {
        user,
        id: SessionId::generate()?,
        salt: SessionSalt::generate()?,
        epoch,
        device: ctx.user_agent.clone(),
        address: ctx.source.to_string(),
        second_factor,
        now: ctx.now,
        lifetime: app.config.tokens.session_ttl,
    };
    let tokens = TokenSession {
        user,
        id: session.id,
        generation: 0,
        salt: session.salt,
        epoch,
        authenticated_at: ctx.now,
        second_factor,
    };
    let answer = TokenResponse::issue(app, ctx, keys, &tokens)?;
    Ok((session, answer))
}

impl TokenResponse {
    /// Signs an access token and makes a refresh token.
    pub fn issue(app: &App, ctx: &Context, keys: &TokenKeys, session: &TokenSession) -> Result<Self, ApiError> {
        let settings = &app.config.tokens;
        let grant = Grant {
            issuer: app.issuer(&ctx.origin),
            audience: &settings.audience,
            user: session.user,
            session: session.id,
            epoch: session.epoch,
            authenticated_at: session.authenticated_at,
            second_factor: session.second_factor,
            lifetime: settings.access_ttl,
        };
        let key = &keys.secret.refresh_token;
        let refresh_token = RefreshToken::new(key, session.user, session.id, session.generation, &session.salt);
        Ok(Self {
            access_token: AccessToken::issue(&keys.signing, grant, ctx.now)?.reveal().to_owned(),
            token_type: "bearer",
            expires_in: settings.access_ttl.as_secs(),
            refresh_token: refresh_token.reveal(key),
        })
    }
}
