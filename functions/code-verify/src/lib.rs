//! `POST /auth/code/verify`: signs in by a code, and creates the account if the phone has none.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{otp::OtpCode, proof::SignInMethod},
    flows::{sign_in, token_pair::TokenResponse},
    http::{
        StatusCode,
        members::SealedChallenge,
        openapi::{CodeProblems, LimitProblems, ServerProblems, SignInProblems},
    },
    request_body,
};

request_body! {
    /// A sign-in that waits, and the code that was sent for it.
    pub struct CodeVerifyRequest {
        /// The `challenge` from the response of `POST /auth/code`.
        challenge: SealedChallenge,
        /// The six digits of the code.
        otp: OtpCode,
    }
}

/// Sign in by a code
///
/// Starts a session of the phone's account, or of a new one without a password. The phone counts as verified. A
/// challenge allows five tries, and the response is the same for a wrong, expired or used code and for that of another
/// challenge. If a second factor is on, the right code gets 403 with an `mfa_token` for `POST /auth/login/mfa`.
///
/// If no code has proved the phone for long (`PHONE_PROOF_MAX_AGE_DAYS`), it may have another owner by now: the right code
/// gets 403 `identity-required`, unless the request has an access token of a live session of the account. Its `mfa_token`
/// either proves the old owner at `POST /auth/login/mfa`, or begins a new account at `POST /auth/start-anew`.
#[utoipa::path(
    post,
    path = "/auth/code/verify",
    operation_id = "code-verify",
    tag = "Sign-in",
    request_body = CodeVerifyRequest,
    responses(
        (status = 200, description = "The tokens of the new session", body = TokenResponse),
        CodeProblems, SignInProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Code)?;
    let CodeVerifyRequest { challenge: SealedChallenge(challenge), otp } = request.read(&app.config)?;
    let challenge = sign_in::challenge(app, ctx, &challenge).await?.ok_or(ApiError::InvalidOtp)?;
    let tokens = sign_in::sign_in(app, ctx, &request, &challenge, &otp).await?;
    Ok(Response::json(StatusCode::OK, &tokens))
}
