//! `DELETE /auth/me`: the end of the account.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::{password::Password, proof::Proof},
    error::TokenProblem,
    flows::caller::{Caller, bearer_claims},
    http::openapi::{CodeProblems, LimitProblems, ReauthenticationProblems, ServerProblems, TokenProblems},
    store::AccountDeletion,
};
use utoipa::ToSchema;

/// The password again, and the second factor where one is on.
#[derive(ToSchema)]
pub struct MeDeleteRequest {
    /// The account's password.
    #[schema(value_type = String, format = Password, example = "mypassword")]
    password: Password,
    /// The authenticator's code, where a second factor is on: `code`, or `recovery_code` in its place.
    #[schema(value_type = Option<String>, example = "654321")]
    code: Option<Proof>,
}

impl FromFields for MeDeleteRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (password, code) = (fields.password("password"), fields.proof());
        Some(Self { password: password?, code })
    }
}

/// Deletes the account
///
/// At once and for good: sessions, tokens, codes and second factor are gone, and the phone is free. Who registers it again
/// has another account. The same request again is answered alike, for as long as its token would have been good.
#[utoipa::path(
    delete,
    path = "/auth/me",
    operation_id = "me-delete",
    tag = "Account",
    security(("bearer" = [])),
    request_body = MeDeleteRequest,
    responses(
        (status = 204, description = "It is gone"),
        CodeProblems, TokenProblems, ReauthenticationProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    match delete(app, ctx, &request).await {
        // Whoever did it did not get the answer.
        Err(ApiError::InvalidToken(TokenProblem::SessionEnded)) if was_deleted(app, ctx, &request).await? => {
            ctx.audit.reason("already-deleted");
            Ok(Response::no_content())
        }
        answer => answer,
    }
}

async fn delete(app: &App, ctx: &Context, request: &Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, request).await?;
    let MeDeleteRequest { password, code } = request.read(&app.config)?;

    caller.reauthenticate(app, ctx, &password, code.as_ref()).await?;
    let longest_token = app.config.tokens.session_ttl;
    match app.store.delete_account(&caller.profile, longest_token, ctx.now).await? {
        AccountDeletion::Done => Ok(Response::no_content()),
        // The password that was compared is no longer right.
        AccountDeletion::Outrun => Err(caller.overtaken(app, ctx, ApiError::WrongPassword).await),
    }
}

/// Whether the account that the token is of was deleted.
async fn was_deleted(app: &App, ctx: &Context, request: &Request) -> Result<bool, ApiError> {
    let claims = bearer_claims(app, ctx, request).await?;
    Ok(app.store.was_deleted(claims.sub).await?)
}
