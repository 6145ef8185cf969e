//! `POST /auth/logout-all`: the end of every session.

use latchkey::{
    ApiError, App, Context, Request, Response,
    flows::caller::Caller,
    http::openapi::{ServerProblems, TokenProblems},
    store::Change,
};

/// How often it is tried again when the account changes meanwhile.
const TRIES: usize = 3;

/// Ends every session
///
/// On every device, this one included: all access tokens and refresh tokens are dead at once.
#[utoipa::path(
    post,
    path = "/auth/logout-all",
    operation_id = "logout-all",
    tag = "Sign-in",
    security(("bearer" = [])),
    responses((status = 204, description = "Every session has ended"), TokenProblems, ServerProblems)
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    for _ in 0..TRIES {
        // Somebody who ended all sessions meanwhile has ended this one: then the token is dead, and this says so.
        let caller = Caller::authenticate(app, ctx, &request).await?;
        match app.store.end_all_sessions(&caller.profile).await? {
            Change::Done => return Ok(Response::no_content()),
            Change::Overtaken => {}
        }
    }
    Err(ApiError::TemporarilyUnavailable("the account kept changing".into()))
}
