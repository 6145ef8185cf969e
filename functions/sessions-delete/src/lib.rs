//! `DELETE /auth/sessions/{id}`: ends one of the caller's sessions.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::id::SessionId,
    domain::proof::Proof,
    flows::caller::{RECENT, own_sessions},
    http::{
        members::OwnPassword,
        openapi::{
            CodeProblems, LimitProblems, NotFoundProblems, ReauthenticationProblems, ServerProblems, TokenProblems,
        },
    },
    request_body,
};

request_body! {
    /// The account's password and its second factor, if the login is older than ten minutes.
    pub struct SessionsDeleteRequest {
        /// The account's password, required if it has one. Without one, the sign-in or `POST /auth/step-up` must be at most
        /// ten minutes old.
        password: OwnPassword,
        /// The TOTP code, if a second factor is on. `recovery_code` may be sent instead.
        code: Option<Proof>,
    }
}

/// End a session
///
/// The session's access tokens and its refresh token stop working at once, and the device's `device_token` counts as none
/// from then on, unless it is the session that asks. To end another session than the one that
/// asks, the caller has signed in within ten minutes, or sends the password, and the second factor if one is on.
#[utoipa::path(
    delete,
    path = "/auth/sessions/{id}",
    operation_id = "sessions-delete",
    tag = "Sign-in",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The session's `id` from `GET /auth/sessions`")),
    request_body = Option<SessionsDeleteRequest>,
    responses(
        (status = 204, description = "The session has ended"),
        CodeProblems, TokenProblems, ReauthenticationProblems, NotFoundProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    // Only the caller's own sessions are searched, so that another user's session is not found.
    let (caller, sessions) = own_sessions(app, ctx, &request).await?;
    let id: Option<SessionId> = request.path_parameter("id").and_then(|id| id.parse().ok());
    let session = sessions.iter().find(|session| Some(session.id) == id).ok_or(ApiError::NoSuchSession)?;
    // A thief of the tokens could otherwise end every session but the stolen one.
    let is_recent = ctx.now.since(caller.login.authentication.at) <= RECENT;
    if session.id != caller.session && !is_recent {
        if caller.has_password(app) && !request.has_body() {
            return Err(ApiError::ReauthenticationRequired);
        }
        let SessionsDeleteRequest { password: OwnPassword(password), code } =
            request.read_again(&app.config, caller.has_password(app))?;
        let what = format!("end {}", session.id);
        Box::pin(caller.reauthenticate_to(app, ctx, Some(&what), (password.as_ref(), code.as_ref()))).await?;
    }
    if session.id == caller.session {
        app.store.end_session(caller.profile.user, session.id).await?;
    } else {
        // The device may be lost, and whoever found it must not have a count of passwords of their own.
        app.store.end_session_and_forget(caller.profile.user, session.id, ctx.now).await?;
    }
    Ok(Response::no_content())
}
