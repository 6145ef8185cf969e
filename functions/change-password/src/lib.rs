//! `POST /auth/change-password`: changes the password of a caller who knows the current one.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::password::{NewPassword, Password},
    flows::caller::Caller,
    http::openapi::{BodyProblems, LimitProblems, PasswordProblems, ServerProblems, TokenProblems},
    messages::Notice,
    store::Change,
};
use utoipa::ToSchema;

/// The current password and the new one.
#[derive(ToSchema)]
pub struct ChangePasswordRequest {
    /// The current password.
    #[schema(value_type = String, format = Password, example = "mypassword")]
    old_password: Password,
    /// The new password: at least 8 characters of any kind; not a common one, the phone, or the service's name.
    #[schema(value_type = String, format = Password, example = "newPass123")]
    new_password: NewPassword,
}

impl FromFields for ChangePasswordRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (old_password, new_password) = (fields.password("old_password"), fields.new_password("new_password"));
        Some(Self { old_password: old_password?, new_password: new_password? })
    }
}

/// Change the password
///
/// Every other session ends; this one stays. A wrong current password counts like a wrong password at login.
#[utoipa::path(
    post,
    path = "/auth/change-password",
    operation_id = "change-password",
    tag = "Account",
    security(("bearer" = [])),
    request_body = ChangePasswordRequest,
    responses(
        (status = 204, description = "The password was changed; every other session has ended"),
        BodyProblems, TokenProblems, PasswordProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let profile = &caller.profile;
    let ChangePasswordRequest { old_password, new_password } = request.read(&app.config)?;
    let new_password =
        new_password.not_the_phone(&profile.phone).map_err(|why| ApiError::invalid_field("/new_password", &why))?;

    let (credential, _) = caller.confirm_password(app, ctx, &old_password).await?;
    let new_hash = app.hasher.hash(&new_password)?;
    let change = app.store.change_password(&profile.phone, &credential, &new_hash, caller.session);
    let notice = (ctx, profile, Notice::PasswordChanged);
    match app.notify_when(Change::Done, change, notice).await? {
        Change::Done => Ok(Response::no_content()),
        // Another request was faster. If it came from this session, the old password is no longer right; else it may
        // have ended this session.
        Change::Overtaken => Err(caller.overtaken(app, ctx, ApiError::WrongPassword).await),
    }
}
