//! `DELETE /auth/sessions/{id}`: the end of another session.

use shared::{
    ApiError, App, Context, Request, Response,
    caller::Caller,
    openapi::{NotFoundProblems, ServerProblems, TokenProblems},
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
    let caller = Caller::authenticate(app, ctx, &request).await?;
    // Another user's session is not in this user's partition: not found, whoever asks.
    let id = request.path_parameter("id").and_then(|id| id.parse().ok()).ok_or(ApiError::NotFound)?;
    if app.store.end_session(caller.profile.user, id).await? {
        Ok(Response::no_content())
    } else {
        Err(ApiError::NotFound)
    }
}
