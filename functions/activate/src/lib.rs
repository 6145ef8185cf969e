//! `POST /auth/activate`: creates the account of a registration whose code is entered.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::otp::OtpCode,
    flows::{
        codes,
        registration::{PendingRegistration, RegisterResponse, Waiting},
    },
    http::{
        StatusCode,
        openapi::{CodeProblems, LimitProblems, PhoneProblems, ServerProblems},
    },
    store::Activation,
};
use utoipa::ToSchema;

/// A pending registration and the code that was sent for it.
#[derive(ToSchema)]
pub struct ActivateRequest {
    /// The `activation_id` from the response of `POST /auth/register`.
    #[schema(example = "9lWmzN0bX…")]
    activation_id: String,
    /// The six digits of the code.
    #[schema(value_type = String, example = "123456")]
    otp: OtpCode,
}

impl FromFields for ActivateRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (activation_id, otp) = (fields.text("activation_id"), fields.otp("otp"));
        Some(Self { activation_id: activation_id?, otp: otp? })
    }
}

/// Activate an account
///
/// Creates the account with the password of this registration and counts its phone as verified. A code allows five
/// tries. The response is the same for a wrong, expired or used code and for the code of another registration.
#[utoipa::path(
    post,
    path = "/auth/activate",
    operation_id = "activate",
    tag = "Account",
    request_body = ActivateRequest,
    responses(
        (status = 201, description = "The account was created", body = RegisterResponse),
        CodeProblems, PhoneProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let ActivateRequest { activation_id, otp } = request.read(&app.config)?;
    let secret = app.keyring.secret(ctx.now).await?;
    let registration =
        PendingRegistration::open(&secret.activation, Waiting::Registration, &activation_id).map_err(|_| ApiError::InvalidOtp)?;

    let phone = &registration.phone;
    // No account is made in a country that has been closed since.
    let not_served = |why| ApiError::invalid_field("/activation_id", &format!("its phone {why}"));
    app.check_recipient(phone).map_err(not_served)?;
    let code = codes::compare(app, ctx, registration.purpose(), phone, &otp).await?;
    match app.store.activate(phone, registration.purpose(), &code, ctx.now).await? {
        Activation::Created(id) => {
            codes::count_verified(app, ctx, phone);
            ctx.audit.user(id);
            let account = RegisterResponse { id, phone: phone.as_e164().to_owned() };
            Ok(Response::json(StatusCode::CREATED, &account))
        }
        // The caller has proved that they own the phone, so this reveals nothing to a stranger.
        Activation::PhoneTaken => Err(ApiError::PhoneTaken),
        Activation::Outrun => Err(ApiError::InvalidOtp),
    }
}
