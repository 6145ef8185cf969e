//! `POST /auth/change-phone`: a code to the phone that the account is to have.

use shared::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    caller::Caller,
    codes::{self, CodeSentResponse},
    http::StatusCode,
    openapi::{BodyProblems, LimitProblems, PasswordProblems, ServerProblems, TokenProblems},
    otp::Purpose,
    password::Password,
    phone::Phone,
};
use utoipa::ToSchema;

/// The password again, and the new phone.
#[derive(ToSchema)]
pub struct ChangePhoneRequest {
    /// The account's password.
    #[schema(value_type = String, format = Password, example = "mypassword")]
    password: Password,
    /// The phone that the account is to have, in any spelling.
    #[schema(value_type = String, example = "01112345678")]
    phone: Phone,
}

impl FromFields for ChangePhoneRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (password, phone) = (fields.password("password"), fields.phone("phone"));
        Some(Self { password: password?, phone: phone? })
    }
}

/// Sends a code to the phone that the account is to have
///
/// Nothing changes until the code comes back to `POST /auth/change-phone/verify`, within five minutes. The answer is the
/// same when the phone has an account: its owner alone learns of it, by the code.
#[utoipa::path(
    post,
    path = "/auth/change-phone",
    operation_id = "change-phone",
    tag = "Account",
    security(("bearer" = [])),
    request_body = ChangePhoneRequest,
    responses(
        (status = 202, description = "A code is on its way to the new phone", body = CodeSentResponse),
        BodyProblems, TokenProblems, PasswordProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let ChangePhoneRequest { password, phone } = request.read(&app.config)?;
    if phone == caller.profile.phone {
        return Err(ApiError::invalid_field("/phone", &"is the phone of this account already"));
    }

    let (credential, receipt) = caller.confirm_password(app, ctx, &password).await?;
    let purpose = Purpose::ChangePhone(credential.user);
    // The password was right: that was no failure.
    let (target, ()) = tokio::try_join!(app.store.code_target(&phone, purpose), app.store.take_back(receipt))?;
    let target = target.for_account(credential.user, credential.epoch);
    let code = codes::issue(app, ctx, purpose, &phone, target).await?;
    Ok(Response::json(StatusCode::ACCEPTED, &code.on_its_way_to_field("/phone")?))
}
