//! `POST /auth/step-up`: takes another proof of who the caller is, and renews the session.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::{
        otp::OtpCode,
        password::Password,
        proof::{Proof, SignInMethod},
    },
    flows::{
        caller::Caller,
        step_up::{self, FirstFactor},
        token_pair::TokenResponse,
    },
    http::{
        StatusCode,
        openapi::{CodeProblems, LimitProblems, ServerProblems, StepUpProblems, TokenProblems},
    },
};
use utoipa::ToSchema;

/// A proof of who the caller is: the password; or a code by SMS; or a second factor alone. Where a second factor is on, the
/// first two take it as well.
#[derive(ToSchema)]
pub struct StepUpRequest {
    /// The account's password.
    #[schema(value_type = Option<String>, format = Password, example = "mypassword")]
    password: Option<Password>,
    /// The `challenge` from the response of `POST /auth/code` for the account's own phone.
    #[schema(value_type = Option<String>, example = "9lWmzN0bX…")]
    challenge: Option<String>,
    /// The six digits of its code.
    #[schema(value_type = Option<String>, example = "123456")]
    otp: Option<OtpCode>,
    /// The TOTP code, if a second factor is on. `recovery_code` may be sent instead.
    #[schema(value_type = Option<String>, example = "654321")]
    code: Option<Proof>,
}

impl FromFields for StepUpRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (has_password, has_challenge) = (fields.has("password"), fields.has("challenge") || fields.has("otp"));
        if has_password && has_challenge {
            fields.refuse("challenge", &"must not be sent together with `password`");
        }
        let password = if has_password { fields.password("password") } else { None };
        let (challenge, otp) = if has_challenge { (fields.text("challenge"), fields.otp("otp")) } else { (None, None) };
        if !has_password && !has_challenge && !fields.has("code") && !fields.has("recovery_code") {
            fields.refuse("password", &"is required, or `challenge` with `otp`, or `code`, or `recovery_code` instead");
        }
        Some(Self { password, challenge, otp, code: fields.proof() })
    }
}

/// Prove again who you are
///
/// Renews `auth_time` and `amr`: the session continues under another identifier, with the tokens in the response, and the
/// old ones end. Other sessions stay. A wrong proof counts like a wrong sign-in. Where a second factor is on, a password or
/// a code by SMS takes it as well.
#[utoipa::path(
    post,
    path = "/auth/step-up",
    operation_id = "step-up",
    tag = "Sign-in",
    security(("bearer" = [])),
    request_body = StepUpRequest,
    responses(
        (status = 200, description = "The tokens of the renewed session", body = TokenResponse),
        CodeProblems, TokenProblems, StepUpProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let StepUpRequest { password, challenge, otp, code } = request.read(&app.config)?;
    let first = match (password, challenge.zip(otp)) {
        (Some(password), _) => {
            app.require_method(SignInMethod::Password)?;
            Some(FirstFactor::Password(password))
        }
        (None, Some((challenge, otp))) => {
            app.require_method(SignInMethod::Code)?;
            Some(FirstFactor::Code(challenge, otp))
        }
        (None, None) => None,
    };
    let tokens = Box::pin(step_up::renew(app, ctx, &caller, first, code.as_ref())).await?;
    Ok(Response::json(StatusCode::OK, &tokens))
}
