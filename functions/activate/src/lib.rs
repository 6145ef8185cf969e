//! `POST /auth/activate`: creates the account of a registration whose code is entered.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::id::UserId,
    domain::{otp::OtpCode, phone::Phone},
    flows::{
        codes::{self, Compared},
        registration::{PendingRegistration, RegisterResponse},
    },
    http::{
        StatusCode,
        members::SealedActivationId,
        openapi::{CodeProblems, LimitProblems, PhoneProblems, ServerProblems},
    },
    request_body,
    store::{Activation, UsedCode},
};

request_body! {
    /// A pending registration and the code that was sent for it.
    pub struct ActivateRequest {
        /// The `activation_id` from the response of `POST /auth/register`.
        activation_id: SealedActivationId,
        /// The six digits of the code.
        otp: OtpCode,
    }
}

/// Activate an account
///
/// Creates the account with the password of this registration and counts its phone as verified. A code allows five
/// tries. The response is the same for a wrong, expired or used code and for the code of another registration.
/// Repeating the request that used the code gets the same response until the code expires.
#[utoipa::path(
    post,
    path = "/auth/activate",
    operation_id = "activate",
    tag = "Registration",
    request_body = ActivateRequest,
    responses(
        (status = 201, description = "The account was created", body = RegisterResponse),
        CodeProblems, PhoneProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let ActivateRequest { activation_id: SealedActivationId(activation_id), otp } = request.read(&app.config)?;
    let registration = PendingRegistration::of_id(app, ctx, &activation_id).await?.ok_or(ApiError::InvalidOtp)?;

    let phone = &registration.phone;
    // No account is made in a country that has been closed since.
    let not_served = |why| ApiError::invalid_field("/activation_id", &format!("its phone {why}"));
    app.check_recipient(phone).map_err(not_served)?;
    let code = match codes::compare(app, ctx, registration.purpose(), phone, &otp).await? {
        Compared::Right(code) => code,
        Compared::Repeated(used) => return repeated(app, ctx, phone, &used).await,
    };
    // A right code is bound to the user who will have the account.
    let account = code.account.ok_or(ApiError::InvalidOtp)?;
    let effect = codes::effect(app, ctx, account.user, account.epoch, None).await?;
    match app.store.activate(phone, registration.purpose(), (&code, &effect), ctx.now).await? {
        Activation::Created(id) => {
            codes::count_verified(app, ctx, phone);
            Ok(created(ctx, phone, id))
        }
        Activation::Repeated(used) => repeated(app, ctx, phone, &used).await,
        // The caller has proved that they own the phone, so this reveals nothing to a stranger.
        Activation::PhoneTaken => Err(ApiError::PhoneTaken),
        Activation::Outrun => Err(ApiError::InvalidOtp),
    }
}

/// Answers a request that repeats the one that created the account, as long as the account is as it was created.
async fn repeated(app: &App, ctx: &Context, phone: &Phone, used: &UsedCode) -> Result<Response, ApiError> {
    let account = app.store.credential_of(phone).await?.ok_or(ApiError::InvalidOtp)?;
    if !used.has_made(&codes::effect(app, ctx, account.user, account.epoch, None).await?) {
        return Err(ApiError::InvalidOtp);
    }
    ctx.audit.reason("already-done");
    Ok(created(ctx, phone, account.user))
}

fn created(ctx: &Context, phone: &Phone, id: UserId) -> Response {
    ctx.audit.user(id);
    Response::json(StatusCode::CREATED, &RegisterResponse { id, phone: phone.as_e164().to_owned() })
}
