//! `POST /auth/logout`: ends the caller's session.

use latchkey::{
    ApiError, App, Context, Request, Response,
    flows::caller::bearer_claims,
    http::openapi::{ServerProblems, TokenProblems},
};

/// Sign out
///
/// Ends this session: its access tokens and its refresh token stop working at once. Also succeeds if the session has
/// already ended.
#[utoipa::path(
    post,
    path = "/auth/logout",
    operation_id = "logout",
    tag = "Sign-in",
    security(("bearer" = [])),
    responses((status = 204, description = "The session has ended"), TokenProblems, ServerProblems)
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    // Whether the session is alive is not checked, because ending a dead one is a success (RFC 7009 section 2.2).
    let claims = bearer_claims(app, ctx, &request).await?;
    app.store.end_session(claims.sub, claims.sid).await?;
    Ok(Response::no_content())
}
