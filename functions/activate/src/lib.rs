//! `POST /auth/activate`: the account, by the code.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::otp::OtpCode,
    flows::{
        codes,
        registration::{PendingRegistration, RegisterResponse},
    },
    http::{
        StatusCode,
        openapi::{CodeProblems, LimitProblems, PhoneProblems, ServerProblems},
    },
    store::Activation,
};
use utoipa::ToSchema;

/// The registration, and the code that was sent for it.
#[derive(ToSchema)]
pub struct ActivateRequest {
    /// As `POST /auth/register` answered it.
    #[schema(example = "9lWmzN0bX…")]
    activation_id: String,
    /// The six digits.
    #[schema(value_type = String, example = "123456")]
    otp: OtpCode,
}

impl FromFields for ActivateRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (activation_id, otp) = (fields.text("activation_id"), fields.otp("otp"));
        Some(Self { activation_id: activation_id?, otp: otp? })
    }
}

/// Makes the account that was registered
///
/// It has the password of this registration, and its phone counts as confirmed. A code has five tries; a wrong, an expired
/// and a used code, and one of another registration, get the same answer.
#[utoipa::path(
    post,
    path = "/auth/activate",
    operation_id = "activate",
    tag = "Account",
    request_body = ActivateRequest,
    responses(
        (status = 201, description = "The account exists now", body = RegisterResponse),
        CodeProblems, PhoneProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let ActivateRequest { activation_id, otp } = request.read(&app.config)?;
    let secret = app.keyring.secret(ctx.now).await?;
    let registration =
        PendingRegistration::open(&secret.activation, &activation_id).map_err(|_| ApiError::InvalidOtp)?;

    let phone = &registration.phone;
    let code = codes::compare(app, ctx, registration.purpose(), phone, &otp).await?;
    match app.store.activate(phone, registration.purpose(), &code, ctx.now).await? {
        Activation::Created(id) => {
            codes::count_verified(app, ctx, phone);
            ctx.audit.user(id);
            let account = RegisterResponse { id, phone: phone.as_e164().to_owned() };
            Ok(Response::json(StatusCode::CREATED, &account))
        }
        // Told to somebody who has shown that the phone is theirs.
        Activation::PhoneTaken => Err(ApiError::PhoneTaken),
        Activation::Outrun => Err(ApiError::InvalidOtp),
    }
}
