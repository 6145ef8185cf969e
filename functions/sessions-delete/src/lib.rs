//! `DELETE /auth/sessions/{id}`: the end of another session.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::id::SessionId,
    flows::caller::own_sessions,
    http::openapi::{NotFoundProblems, ServerProblems, TokenProblems},
};

/// Ends a session of the caller's
///
/// Its access tokens and its refresh token are dead at once.
#[utoipa::path(
    delete,
    path = "/auth/sessions/{id}",
    operation_id = "sessions-delete",
    tag = "Sign-in",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "From `GET /auth/sessions`")),
    responses(
        (status = 204, description = "The session has ended"),
        TokenProblems, NotFoundProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    // Only the caller's own are looked at: another user's session is not found, whoever asks.
    let (claims, sessions) = own_sessions(app, ctx, &request).await?;
    let id: Option<SessionId> = request.path_parameter("id").and_then(|id| id.parse().ok());
    let session = sessions.iter().find(|session| Some(session.id) == id).ok_or(ApiError::NotFound)?;
    app.store.end_session(claims.sub, session.id).await?;
    Ok(Response::no_content())
}
