//! `DELETE /auth/me`: deletes the caller's account.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::{password::Password, proof::Proof},
    error::TokenProblem,
    flows::caller::{Caller, bearer_claims},
    http::openapi::{CodeProblems, LimitProblems, ReauthenticationProblems, ServerProblems, TokenProblems},
    store::AccountDeletion,
};
use utoipa::ToSchema;

/// The account's password and, if one is on, a second factor.
#[derive(ToSchema)]
pub struct MeDeleteRequest {
    /// The account's password, required if it has one. Without one, the sign-in or `POST /auth/step-up` must be at most
    /// ten minutes old.
    #[schema(value_type = Option<String>, format = Password, example = "mypassword")]
    password: Option<Password>,
    /// The TOTP code, required if a second factor is on. `recovery_code` may be sent instead.
    #[schema(value_type = Option<String>, example = "654321")]
    code: Option<Proof>,
}

impl FromFields for MeDeleteRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (password, code) = (fields.password_again("password"), fields.proof());
        Some(Self { password: password?, code })
    }
}

/// Delete the account
///
/// Deletes sessions, tokens, codes and the second factor at once and permanently, and frees the phone. Registering the
/// phone again creates a different account. Repeating the request gets the same response until its access token would
/// have expired.
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

async fn delete(app: &App, ctx: &Context, request: &Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, request).await?;
    let MeDeleteRequest { password, code } = request.read_again(&app.config, caller.has_password(app))?;

    let proved = caller.reauthenticate(app, ctx, password.as_ref(), code.as_ref()).await?;
    let longest_token = app.config.tokens.session_ttl;
    match app.store.delete_account(&caller.profile, longest_token, ctx.now).await? {
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
