//! `DELETE /auth/sessions/{id}`: ends one of the caller's sessions.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::id::SessionId,
    flows::caller::own_sessions,
    http::openapi::{NotFoundProblems, ServerProblems, TokenProblems},
};

/// End a session
///
/// The session's access tokens and its refresh token stop working at once.
#[utoipa::path(
    delete,
    path = "/auth/sessions/{id}",
    operation_id = "sessions-delete",
    tag = "Sign-in",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The session's `id` from `GET /auth/sessions`")),
    responses(
        (status = 204, description = "The session has ended"),
        TokenProblems, NotFoundProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    // Only the caller's own sessions are searched, so that another user's session is not found.
    let (claims, sessions) = own_sessions(app, ctx, &request).await?;
    let id: Option<SessionId> = request.path_parameter("id").and_then(|id| id.parse().ok());
    let session = sessions.iter().find(|session| Some(session.id) == id).ok_or(ApiError::NotFound)?;
    app.store.end_session(claims.sub, session.id).await?;
    Ok(Response::no_content())
}
