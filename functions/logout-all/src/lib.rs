//! `POST /auth/logout-all`: ends every session of the caller.

use latchkey::{
    ApiError, App, Context, Request, Response,
    flows::caller::Caller,
    http::openapi::{ServerProblems, TokenProblems},
    store::Change,
};

/// The number of tries while other requests change the account.
const TRIES: usize = 3;

/// End every session
///
/// Signs the caller out on every device, including this one. All access tokens and refresh tokens stop working at once.
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
        // If another request ended all sessions meanwhile, it ended this one too, and this returns that error.
        let caller = Caller::authenticate(app, ctx, &request).await?;
        match app.store.end_all_sessions(&caller.profile).await? {
            Change::Done => return Ok(Response::no_content()),
            Change::Overtaken => {}
        }
    }
    Err(ApiError::TemporarilyUnavailable("other requests changed the account during every try".into()))
}
