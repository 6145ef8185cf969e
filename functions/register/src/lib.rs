//! `POST /auth/register`: a new account.

use std::time::Duration;

use serde::Serialize;
use shared::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    error::Bucket,
    http::StatusCode,
    id::UserId,
    openapi::{BodyProblems, LimitProblems, PhoneProblems, ServerProblems},
    password::NewPassword,
    phone::Phone,
    store::{Limit, Registration},
};
use utoipa::ToSchema;

/// Who wants an account.
#[derive(ToSchema)]
pub struct RegisterRequest {
    /// International, or national in the default country; spaces, dashes and brackets are ignored.
    #[schema(value_type = String, example = "01012345678")]
    phone: Phone,
    /// At least 8 characters of any kind, not a common password, not the phone.
    #[schema(value_type = String, format = Password, example = "mypassword")]
    password: NewPassword,
}

impl FromFields for RegisterRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (phone, password) = (fields.phone("phone"), fields.new_password("password"));
        let (phone, password) = (phone?, password?);
        let password = password.not_the_phone(&phone).map_err(|why| fields.refuse("password", &why)).ok()?;
        Some(Self { phone, password })
    }
}

/// The new account.
#[derive(Serialize, ToSchema)]
pub struct RegisterResponse {
    /// The account's identifier.
    #[schema(value_type = String, example = "5c0c7a0e-6a55-4c40-9e44-0f7a7d3c8a3b")]
    id: UserId,
    /// The phone, in E.164.
    #[schema(example = "+201012345678")]
    phone: String,
}

/// Makes an account
///
/// Sign in with `POST /auth/login` afterwards.
#[utoipa::path(
    post,
    path = "/auth/register",
    operation_id = "register",
    tag = "Account",
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "The account exists now", body = RegisterResponse),
        BodyProblems, LimitProblems, PhoneProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let RegisterRequest { phone, password } = request.read(&app.config)?;

    let user = UserId::generate()?;
    let password_hash = app.hasher.hash(&password)?;
    let limit = Limit {
        bucket: Bucket::RegisterAddress,
        subject: &ctx.source.subject(),
        allowed: app.config.limits.register_per_address,
        window: Duration::from_hours(1),
    };
    match app.store.register(user, &phone, &password_hash, limit, ctx.now).await? {
        Registration::Created => {
            let account = RegisterResponse { id: user, phone: phone.as_e164().to_owned() };
            Ok(Response::json(StatusCode::CREATED, &account))
        }
        Registration::PhoneTaken => Err(ApiError::PhoneTaken),
        Registration::LimitReached(reached) => Err(reached.into()),
    }
}
