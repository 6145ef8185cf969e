//! `POST /auth/logout-all`: ends every session of the caller.

use latchkey::{
    ApiError, App, Context, Request, Response,
    error::TokenProblem,
    flows::{
        caller::Caller,
        refresh_token::{self, RefreshTokenRequest},
    },
    http::openapi::{BodyProblems, ServerProblems, TokenProblems},
    store::{Change, Profile, SessionOfToken},
};

/// The number of tries while other requests change the account.
const TRIES: usize = 3;

/// End every session
///
/// Signs the caller out on every device, including this one. All access tokens and refresh tokens stop working at once.
/// If the access token has expired, the session's newest refresh token may be sent instead, or the one before.
#[utoipa::path(
    post,
    path = "/auth/logout-all",
    operation_id = "logout-all",
    tag = "Sign-in",
    security((), ("bearer" = [])),
    request_body = Option<RefreshTokenRequest>,
    responses((status = 204, description = "Every session has ended"), BodyProblems, TokenProblems, ServerProblems)
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    for _ in 0..TRIES {
        // If another request ended all sessions meanwhile, it ended this one too, and this returns that error.
        let profile = account(app, ctx, &request).await?;
        match app.store.end_all_sessions(&profile).await? {
            Change::Done => return Ok(Response::no_content()),
            Change::Overtaken => {}
        }
    }
    Err(ApiError::TemporarilyUnavailable("other requests changed the account during every try".into()))
}

/// Returns the account of a live session: by its access token, by its newest refresh token, or by the one before, since the
/// response with the newest may have been lost.
async fn account(app: &App, ctx: &Context, request: &Request) -> Result<Profile, ApiError> {
    let refused = match Caller::authenticate(app, ctx, request).await {
        Ok(caller) => return Ok(caller.profile),
        Err(refused @ ApiError::InvalidToken(_)) if request.has_body() => refused,
        Err(error) => return Err(error),
    };
    let (token, keys) = match refresh_token::of_body(app, ctx, request).await {
        Err(ApiError::InvalidToken(TokenProblem::Missing)) => return Err(refused),
        opened => opened?,
    };
    ctx.audit.session(token.user, token.session);
    let is_of = |salt: &_| token.is_of(&keys.refresh_token, salt);
    match app.store.session_of(&token, is_of, ctx.now).await? {
        SessionOfToken::Live(profile) => Ok(profile),
        SessionOfToken::Superseded => Err(ApiError::InvalidToken(TokenProblem::Superseded)),
        SessionOfToken::Ended => Err(ApiError::InvalidToken(TokenProblem::SessionEnded)),
    }
}
