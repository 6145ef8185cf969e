//! `POST /auth/logout`: ends the caller's session.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::id::{SessionId, UserId},
    error::TokenProblem,
    flows::{
        caller::bearer_claims_of_any_age,
        refresh_token::{self, RefreshTokenRequest},
    },
    http::openapi::{BodyProblems, ServerProblems, TokenProblems},
};

/// Sign out
///
/// Ends this session: its access tokens and its refresh token stop working at once. The access token may have expired, or
/// the refresh token alone may be sent, spent or not. Also succeeds if the session has already ended.
#[utoipa::path(
    post,
    path = "/auth/logout",
    operation_id = "logout",
    tag = "Sign-in",
    security((), ("bearer" = [])),
    request_body = Option<RefreshTokenRequest>,
    responses((status = 204, description = "The session has ended"), BodyProblems, TokenProblems, ServerProblems)
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    // Whether the session is alive is not checked, because ending a dead one is a success (RFC 7009 section 2.2).
    let by_access_token = session_of_access_token(app, ctx, &request).await;
    let by_refresh_token = session_of_refresh_token(app, ctx, &request).await;
    let (first, second) = match (by_access_token, by_refresh_token) {
        (Ok(first), second) => (first, second.ok()),
        (Err(_), Ok(second)) => (second, None),
        (Err(access), Err(refresh)) => {
            let was_sent = !matches!(refresh, ApiError::InvalidToken(TokenProblem::Missing));
            let refused = matches!(access, ApiError::InvalidToken(_));
            return Err(if refused && was_sent { refresh } else { access });
        }
    };
    // The tokens of a client are of one session. If they are of two, each proves its own.
    for (user, session) in [Some(first), second.filter(|second| *second != first)].into_iter().flatten() {
        ctx.audit.session(user, session);
        app.store.end_session(user, session).await?;
    }
    Ok(Response::no_content())
}

async fn session_of_access_token(app: &App, ctx: &Context, request: &Request) -> Result<(UserId, SessionId), ApiError> {
    let claims = bearer_claims_of_any_age(app, ctx, request).await?;
    Ok((claims.sub, claims.sid))
}

async fn session_of_refresh_token(
    app: &App,
    ctx: &Context,
    request: &Request,
) -> Result<(UserId, SessionId), ApiError> {
    let (token, _) = refresh_token::of_body(app, ctx, request).await?;
    Ok((token.user, token.session))
}
