//! `POST /auth/change-password`: another password, for whoever knows the old one.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::password::{NewPassword, Password},
    flows::caller::Caller,
    http::openapi::{BodyProblems, LimitProblems, PasswordProblems, ServerProblems, TokenProblems},
    messages::Notice,
    store::Change,
};
use utoipa::ToSchema;

/// The old password and the new.
#[derive(ToSchema)]
pub struct ChangePasswordRequest {
    /// The current password.
    #[schema(value_type = String, format = Password, example = "mypassword")]
    old_password: Password,
    /// At least 8 characters of any kind, not a common password, not the phone.
    #[schema(value_type = String, format = Password, example = "newPass123")]
    new_password: NewPassword,
}

impl FromFields for ChangePasswordRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (old_password, new_password) = (fields.password("old_password"), fields.new_password("new_password"));
        Some(Self { old_password: old_password?, new_password: new_password? })
    }
}

/// Changes the password
///
/// Every other session ends; this one stays. Wrong current passwords count like wrong logins.
#[utoipa::path(
    post,
    path = "/auth/change-password",
    operation_id = "change-password",
    tag = "Account",
    security(("bearer" = [])),
    request_body = ChangePasswordRequest,
    responses(
        (status = 204, description = "Changed; every other session has ended"),
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
        // Somebody was faster: this session itself, and then the old password is no longer right; or another.
        Change::Overtaken => Err(caller.overtaken(app, ctx, ApiError::WrongPassword).await),
    }
}
