//! `POST /auth/code`: sends a code to sign in with.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{phone::Phone, proof::SignInMethod},
    flows::{
        codes::Item,
        registration::{PendingRegistration, Waiting},
        sign_in::{self, ChallengeResponse},
    },
    http::{
        StatusCode,
        members::SealedDeviceToken,
        openapi::{BodyProblems, LimitProblems, MessageProblems, ProofHeaders, ServerProblems},
    },
    request_body,
};

request_body! {
    /// The phone to sign in with.
    pub struct CodeRequest {
        /// The phone, international or national in the default country. Spaces, dashes and brackets are ignored.
        phone: Phone,
        /// The newest `device_token` that this device got, so that what strangers ask for this phone does not keep it from a
        /// code. One that has ended counts as none.
        device_token: Option<SealedDeviceToken>,
    }
}

/// Send a code to sign in
///
/// The response is the same whether or not the phone has an account. Send the code with the `challenge` to
/// `POST /auth/code/verify` within five minutes; a phone without an account gets one by it, unless sign-up is closed
/// (`SIGN_UP`).
#[utoipa::path(
    post,
    path = "/auth/code",
    operation_id = "code",
    tag = "Sign-in",
    params(ProofHeaders),
    request_body = CodeRequest,
    responses(
        (status = 202, description = "A code is on its way to the phone", body = ChallengeResponse),
        BodyProblems, MessageProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Code)?;
    let CodeRequest { phone, device_token } = request.read(&app.config)?;
    let challenge = PendingRegistration::of(phone, Waiting::SignIn)?;
    let sent = sign_in::send_code(app, ctx, &challenge, Item::NewChallenge, device_token.as_ref()).await?;
    let sent = sent.ok_or_else(|| ApiError::Internal("a new challenge was not stored as waiting".into()))?;
    Ok(Response::json(StatusCode::ACCEPTED, &sent))
}
