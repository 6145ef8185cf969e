//! `POST /auth/code/resend`: sends another code for a sign-in.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::proof::SignInMethod,
    flows::{
        codes::Item,
        sign_in::{self, ChallengeResponse},
    },
    http::{
        StatusCode,
        members::{SealedChallenge, SealedDeviceToken},
        openapi::{BodyProblems, LimitProblems, MessageProblems, ProofHeaders, ServerProblems},
    },
    request_body,
};

request_body! {
    /// A sign-in that waits for its code.
    pub struct CodeResendRequest {
        /// The `challenge` from the response of `POST /auth/code`.
        challenge: SealedChallenge,
        /// The newest `device_token` that this device got, so that what strangers ask for the phone does not keep it from a
        /// code. One that has ended counts as none.
        device_token: Option<SealedDeviceToken>,
    }
}

/// Send another code to sign in
///
/// The last two codes of a challenge work. They share five tries, and another code adds none. A challenge waits for a
/// quarter of an hour.
#[utoipa::path(
    post,
    path = "/auth/code/resend",
    operation_id = "code-resend",
    tag = "Sign-in",
    params(ProofHeaders),
    request_body = CodeResendRequest,
    responses(
        (status = 202, description = "A code is on its way to the phone", body = ChallengeResponse),
        BodyProblems, MessageProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Code)?;
    let CodeResendRequest { challenge: SealedChallenge(challenge), device_token } = request.read(&app.config)?;
    let over =
        || ApiError::invalid_field("/challenge", &"is over or was never given; start again with POST /auth/code");
    let challenge = sign_in::challenge(app, ctx, &challenge).await?.ok_or_else(over)?;

    let not_served = |why| ApiError::not_served("/challenge", &why);
    app.check_recipient(&challenge.phone).map_err(not_served)?;
    let sent =
        sign_in::send_code(app, ctx, &challenge, Item::Challenge, device_token.as_ref()).await?.ok_or_else(over)?;
    Ok(Response::json(StatusCode::ACCEPTED, &sent))
}
