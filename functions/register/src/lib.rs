//! `POST /auth/register`: creates an account, or sends a code if phones have to be activated first.

use std::time::Duration;

use latchkey::{
    ApiError, App, Context, Fields, Request, Response,
    base::id::UserId,
    domain::{password::NewPassword, phone::Phone, proof::SignInMethod},
    flows::{
        address_subject,
        codes::CodeSentResponse,
        proof,
        registration::{PendingRegistration, RegisterResponse, Waiting},
    },
    http::{
        StatusCode,
        openapi::{BodyProblems, LimitProblems, PhoneProblems, ProofHeaders, ServerProblems, SignUpProblems},
    },
    request_body,
    store::{Bucket, Limit, Registration},
};
use serde::Serialize;
use utoipa::ToSchema;

request_body! {
    /// The phone and the password of a new account.
    pub struct RegisterRequest {
        /// The phone, international or national in the default country. Spaces, dashes and brackets are ignored.
        phone: Phone,
        /// The password: at least 8 characters of any kind; not a common one, the phone, or the service's name.
        password: NewPassword,
    }
    check password_is_not_the_phone;
}

/// Refuses the phone as its own password.
fn password_is_not_the_phone(request: RegisterRequest, fields: &mut Fields<'_>) -> Option<RegisterRequest> {
    let RegisterRequest { phone, password } = request;
    let password = password.not_the_phone(&phone).map_err(|why| fields.refuse("password", &why)).ok()?;
    Some(RegisterRequest { phone, password })
}

/// A registration that waits for the code that was sent to the phone.
#[derive(Serialize, ToSchema)]
pub struct PendingRegistrationResponse {
    /// The identifier of this registration for `POST /auth/activate` and `POST /auth/resend-activation`, valid for an
    /// hour.
    #[schema(example = "AgEzsdeoQaw0DxD6EjhlwFmKjTCmFY1rTt3ZA8lAp1xxFZCyiOQGDAcGm5zGS09qu01k92EfCHLWoBQ2LiYPl88y")]
    activation_id: String,
    /// The number of seconds until the code expires.
    #[schema(example = 300)]
    expires_in: u64,
    /// The code, only with `OTP_EXPOSE`, for development. If the phone already has an account, no endpoint accepts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "042424")]
    otp: Option<String>,
}

/// Create an account
///
/// Sign in with `POST /auth/login` afterwards. If phones have to be activated first (`REQUIRE_ACTIVATION`), no account
/// is created yet: send the code to `POST /auth/activate`. The response is then the same for a phone that already has
/// an account; only its owner gets a notice, by SMS.
#[utoipa::path(
    post,
    path = "/auth/register",
    operation_id = "register",
    tag = "Registration",
    params(ProofHeaders),
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "The account was created", body = RegisterResponse),
        (status = 202, description = "A code is on its way to the phone", body = PendingRegistrationResponse),
        BodyProblems, SignUpProblems, LimitProblems, PhoneProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Password)?;
    if !app.config.sign_up_is_open {
        return Err(ApiError::SignUpClosed);
    }
    let RegisterRequest { phone, password } = request.read(&app.config)?;
    ctx.audit.phone(&phone);

    let secret = app.keyring.secret(ctx.now).await?;
    let address = address_subject(&secret, ctx);
    let allowed = app.config.limits.register_per_address;
    let limit = Limit::new(Bucket::RegisterAddress, &address, allowed, Duration::from_hours(1));
    if app.config.require_activation {
        ask_for_code(app, ctx, phone, &password, limit).await
    } else {
        make_account(app, ctx, &phone, &password, limit).await
    }
}

/// Creates the account. A refusal reveals whether the phone is taken, so every registration is counted, and before the
/// password is hashed: a request beyond the limit reveals nothing and costs little.
async fn make_account(
    app: &App,
    ctx: &Context,
    phone: &Phone,
    password: &NewPassword,
    limit: Limit<'_>,
) -> Result<Response, ApiError> {
    app.store.charge(limit, ctx.now).await??;
    let user = UserId::generate()?;
    match app.store.register(user, phone, &app.hasher.hash(password)?, ctx.now).await? {
        Registration::Created => {
            ctx.audit.user(user);
            let account = RegisterResponse { id: user, phone: phone.as_e164().to_owned() };
            Ok(Response::json(StatusCode::CREATED, &account))
        }
        Registration::PhoneTaken => Err(ApiError::PhoneTaken),
    }
}

async fn ask_for_code(
    app: &App,
    ctx: &Context,
    phone: Phone,
    password: &NewPassword,
    limit: Limit<'_>,
) -> Result<Response, ApiError> {
    let registration = PendingRegistration::of(phone, Waiting::Registration)?;
    proof::require(app, ctx, registration.purpose(), &registration.phone).await?;
    let target = registration.admit(app, ctx, limit).await?;
    let password_hash = app.hasher.hash(password)?;
    let code = registration.send_code(app, ctx, target, Some(&password_hash), &[limit]).await?;
    let code = code.ok_or_else(|| ApiError::Internal("a new registration was not stored as pending".into()))?;
    let CodeSentResponse { otp } = code.on_its_way_to_field("/phone")?;

    let secret = app.keyring.secret(ctx.now).await?;
    let activation_id = registration.seal(&secret.writing.activation)?;
    let pending = PendingRegistrationResponse { activation_id, expires_in: app.config.otp.ttl.as_secs(), otp };
    Ok(Response::json(StatusCode::ACCEPTED, &pending))
}
