//! `POST /auth/logout`: the end of this session.

use latchkey::{
    ApiError, App, Context, Request, Response,
    flows::caller::bearer_claims,
    http::openapi::{ServerProblems, TokenProblems},
};

/// Ends this session
///
/// Its access tokens and its refresh token are dead at once. A session that had ended already is no error.
#[utoipa::path(
    post,
    path = "/auth/logout",
    operation_id = "logout",
    tag = "Sign-in",
    security(("bearer" = [])),
    responses((status = 204, description = "The session has ended"), TokenProblems, ServerProblems)
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    // Whether the session still holds need not be asked: RFC 7009 section 2.2, the end of a dead one is a success.
    let claims = bearer_claims(app, ctx, &request).await?;
    app.store.end_session(claims.sub, claims.sid).await?;
    Ok(Response::no_content())
}
