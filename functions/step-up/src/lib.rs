//! `POST /auth/step-up`: takes another proof of who the caller is, and renews the session.

use latchkey::{
    ApiError, App, Context, Request, Response,
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
        Fields, StatusCode,
        members::SealedChallenge,
        openapi::{CodeProblems, LimitProblems, ServerProblems, StepUpProblems, TokenProblems},
    },
    request_body,
};

request_body! {
    /// A proof of who the caller is: the password; or a code by SMS; or a second factor alone. Where a second factor is on,
    /// the first two take it as well.
    pub struct StepUpRequest {
        /// The account's password.
        password: Option<Password>,
        /// The `challenge` from the response of `POST /auth/code` for the account's own phone.
        challenge: Option<SealedChallenge>,
        /// The six digits of its code.
        otp: Option<OtpCode>,
        /// The TOTP code, if a second factor is on. `recovery_code` may be sent instead.
        code: Option<Proof>,
    }
    check one_first_factor;
}

/// Refuses a body with more than one first factor, with half a one, or without any proof.
fn one_first_factor(request: StepUpRequest, fields: &mut Fields<'_>) -> Option<StepUpRequest> {
    let wrong = match (&request.password, &request.challenge, &request.otp) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            Some(("challenge", "must not be sent together with `password`"))
        }
        (None, Some(_), None) => Some(("otp", "is required with `challenge`")),
        (None, None, Some(_)) => Some(("challenge", "is required with `otp`")),
        (None, None, None) if request.code.is_none() => {
            Some(("password", "is required, or `challenge` with `otp`, or `code`, or `recovery_code` instead"))
        }
        _ => None,
    };
    match wrong {
        Some((name, why)) => {
            fields.refuse(name, &why);
            None
        }
        None => Some(request),
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
            Some(FirstFactor::Code(challenge.0, otp))
        }
        (None, None) => None,
    };
    let tokens = Box::pin(step_up::renew(app, ctx, &caller, first, code.as_ref())).await?;
    Ok(Response::json(StatusCode::OK, &tokens))
}
