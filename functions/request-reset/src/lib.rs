//! `POST /auth/request-reset`: sends a code to reset the password.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{otp::Purpose, phone::KnownPhone, proof::SignInMethod},
    flows::{
        self, codes, proof,
        registration::{PendingRegistration, Waiting},
        token_pair,
    },
    http::{
        StatusCode,
        members::{SealedChallenge, SealedDeviceToken},
        openapi::{BodyProblems, LimitProblems, MessageProblems, ProofHeaders, ServerProblems},
    },
    request_body,
};
use serde::Serialize;
use utoipa::ToSchema;

request_body! {
    /// The phone of the account whose password is forgotten.
    pub struct RequestResetRequest {
        /// The account's phone, in any spelling.
        phone: KnownPhone,
        /// The newest `device_token` that this device got, so that what strangers ask for this phone does not keep it from a
        /// code; the code then works with `challenge` alone. One that has ended counts as none.
        device_token: Option<SealedDeviceToken>,
        /// The `challenge` of an earlier response for this phone, to have another code sent for it. Then either of its last two
        /// codes works with it, and the new one works with it alone.
        challenge: Option<SealedChallenge>,
    }
}

/// A password reset that waits for its code.
#[derive(Serialize, ToSchema)]
pub struct ResetRequestedResponse {
    /// The challenge, for `POST /auth/verify-reset` in place of the phone, valid as long as the code. Its tries are the
    /// asker's alone, so keep it as safe as a token.
    #[schema(example = "AgEeCcwHcfsWzCKOjAFM1ycqbUal95XJWhGfmI8KTi2oAQ9uQ6coaYr3BHaMwLxAy7nnEukmfkfNGcFel84bANFA")]
    challenge: String,
    /// The code, for development: present only with `OTP_EXPOSE`. For a phone without an account, the code is never
    /// right.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "042424")]
    otp: Option<String>,
}

/// Send a code to reset the password
///
/// The response is the same whether or not the phone has an account. Send the code with the `challenge` to
/// `POST /auth/verify-reset` within five minutes.
#[utoipa::path(
    post,
    path = "/auth/request-reset",
    operation_id = "request-reset",
    tag = "Password reset",
    params(ProofHeaders),
    request_body = RequestResetRequest,
    responses(
        (status = 202, description = "If the phone has an account, a code is on its way", body = ResetRequestedResponse),
        BodyProblems, MessageProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Password)?;
    let RequestResetRequest { phone: KnownPhone(phone), device_token, challenge } = request.read(&app.config)?;

    let waiting = match challenge {
        Some(SealedChallenge(text)) => {
            let waiting = PendingRegistration::of_id(app, ctx, Waiting::Reset, &text).await?;
            let waiting = waiting.filter(|waiting| waiting.phone == phone);
            let other = || {
                ApiError::invalid_field(
                    "/challenge",
                    &"is not of a request for this phone; leave it out to start again",
                )
            };
            Some(waiting.ok_or_else(other)?)
        }
        None => None,
    };
    let purpose = waiting.as_ref().map_or(Purpose::Reset, PendingRegistration::purpose);
    // A phone without an account gets a code too, bound to no user: it costs the same calls and opens nothing.
    let device = token_pair::known_device(app, ctx, device_token.as_ref()).await?;
    let target = app.store.code_target_on(device, &phone, purpose, ctx.now).await?;
    proof::require_unless_known(app, ctx, (purpose, &phone), &target).await?;
    // Neither the outcome of the message nor its duration is revealed, because it would show whether there is an
    // account.
    let code = codes::issue(app, ctx, purpose, &phone, target, flows::floor(app)).await?;
    let secret = app.keyring.secret(ctx.now).await?;
    let waiting = waiting.unwrap_or_else(|| PendingRegistration::of_reset(phone, code.challenge));
    let challenge = waiting.seal(&secret.writing.activation)?;
    Ok(Response::json(StatusCode::ACCEPTED, &ResetRequestedResponse { challenge, otp: code.exposed }))
}
