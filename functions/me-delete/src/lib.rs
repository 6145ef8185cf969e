//! `DELETE /auth/me` and `POST /auth/me/delete`: delete the caller's account.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::proof::Proof,
    error::TokenProblem,
    flows::caller::{Caller, bearer_claims},
    http::{
        members::OwnPassword,
        openapi::{CodeProblems, LimitProblems, ReauthenticationProblems, ServerProblems, TokenProblems},
    },
    messages::Notice,
    request_body,
    store::AccountDeletion,
};

request_body! {
    /// The account's password and, if one is on, a second factor.
    pub struct MeDeleteRequest {
        /// The account's password, required if it has one. Without one, the sign-in or `POST /auth/step-up` must be at most
        /// ten minutes old.
        password: OwnPassword,
        /// The TOTP code, required if a second factor is on. `recovery_code` may be sent instead.
        code: Option<Proof>,
    }
}

/// Delete the account
///
/// Deletes sessions, tokens, codes and the second factor at once and permanently, and frees the phone, which gets a
/// notice if it was verified. Registering the phone again creates a different account. Repeating the request gets the
/// same response until its access token would have expired.
#[utoipa::path(
    delete,
    path = "/auth/me",
    operation_id = "me-delete",
    tag = "Account",
    security(("bearer" = [])),
    request_body = MeDeleteRequest,
    responses(
        (status = 204, description = "The account was deleted"),
        CodeProblems, TokenProblems, ReauthenticationProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    match delete(app, ctx, &request).await {
        // The client repeats a request that succeeded, because it did not get the response.
        Err(ApiError::InvalidToken(TokenProblem::SessionEnded)) if was_deleted(app, ctx, &request).await? => {
            ctx.audit.reason("already-deleted");
            Ok(Response::no_content())
        }
        answer => answer,
    }
}

/// Delete the account, for clients whose DELETE has no body
///
/// Does what `DELETE /auth/me` does. Many HTTP clients and some proxies send or pass no body with DELETE (RFC 9110 section
/// 9.3.5).
#[utoipa::path(
    post,
    path = "/auth/me/delete",
    operation_id = "me-delete-post",
    tag = "Account",
    security(("bearer" = [])),
    request_body = MeDeleteRequest,
    responses(
        (status = 204, description = "The account was deleted"),
        CodeProblems, TokenProblems, ReauthenticationProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle_post(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    handle(app, ctx, request).await
}

async fn delete(app: &App, ctx: &Context, request: &Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, request).await?;
    let MeDeleteRequest { password: OwnPassword(password), code } =
        request.read_again(&app.config, caller.has_password(app))?;

    let proved = caller.reauthenticate(app, ctx, password.as_ref(), code.as_ref()).await?;
    let longest_token = app.config.tokens.session_ttl;
    let deletion = app.store.delete_account(&caller.profile, longest_token, ctx.now);
    let notice = (ctx, &caller.profile, Notice::AccountDeleted);
    match app.notify_when(AccountDeletion::Done, deletion, notice).await? {
        AccountDeletion::Done => Ok(Response::no_content()),
        // The account changed after the comparison, so that the password may no longer be right.
        AccountDeletion::Outrun if proved.first.is_some() => {
            Err(caller.overtaken(app, ctx, ApiError::WrongPassword).await)
        }
        AccountDeletion::Outrun => Err(caller.overtaken(app, ctx, ApiError::ReauthenticationRequired).await),
    }
}

/// Returns whether the account of the request's token was deleted.
async fn was_deleted(app: &App, ctx: &Context, request: &Request) -> Result<bool, ApiError> {
    let claims = bearer_claims(app, ctx, request).await?;
    Ok(app.store.was_deleted(claims.sub).await?)
}
