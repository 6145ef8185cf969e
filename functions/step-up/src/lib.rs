//! `POST /auth/step-up`: takes another proof of who the caller is, and renews the session.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::proof::SignInMethod,
    error::TokenProblem,
    flows::{
        caller::Caller,
        step_up::{self, FirstFactor},
        token_pair::TokenResponse,
    },
    http::{
        StatusCode,
        members::StepUpProofs,
        openapi::{CodeProblems, LimitProblems, ServerProblems, StepUpProblems, TokenProblems},
    },
    request_body,
};

request_body! {
    /// A proof of who the caller is: the password; or a code by SMS; or a second factor alone. Where a second factor is on,
    /// the first two take it as well.
    pub struct StepUpRequest {
        /// The TOTP code, if a second factor is on. `recovery_code` may be sent instead.
        proofs: StepUpProofs,
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
    let caller = match Caller::authenticate(app, ctx, &request).await {
        // An earlier step-up may have ended the session of this token, and its response may have been lost.
        Err(ApiError::InvalidToken(TokenProblem::SessionRenewed)) => None,
        caller => Some(caller?),
    };
    let StepUpRequest { proofs } = request.read(&app.config)?;
    let (first, second) = match proofs {
        StepUpProofs::Password(password, second) => {
            app.require_method(SignInMethod::Password)?;
            (Some(FirstFactor::Password(password)), second)
        }
        StepUpProofs::Code(challenge, otp, second) => {
            app.require_method(SignInMethod::Code)?;
            (Some(FirstFactor::Code(challenge.0, otp)), second)
        }
        StepUpProofs::SecondFactor(second) => (None, Some(second)),
    };
    let renewed = match &caller {
        Some(caller) => Box::pin(step_up::renew(app, ctx, caller, first.as_ref(), second.as_ref())).await,
        None => Err(ApiError::InvalidToken(TokenProblem::SessionRenewed)),
    };
    let tokens = match renewed {
        // Before this request, or at the same moment.
        Err(ApiError::InvalidToken(TokenProblem::SessionRenewed)) => {
            step_up::repeated(app, ctx, &request, first.as_ref(), second.as_ref()).await?
        }
        renewed => renewed?,
    };
    Ok(Response::json(StatusCode::OK, &tokens))
}
