//! `POST /auth/resend-activation`: sends another code for a pending registration.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::proof::SignInMethod,
    flows::{
        codes::CodeSentResponse,
        proof,
        registration::{PendingRegistration, Waiting},
    },
    http::{
        StatusCode,
        members::SealedActivationId,
        openapi::{BodyProblems, LimitProblems, MessageProblems, ProofHeaders, ServerProblems},
    },
    request_body,
};

request_body! {
    /// A pending registration.
    pub struct ResendActivationRequest {
        /// The `activation_id` from the response of `POST /auth/register`.
        activation_id: SealedActivationId,
    }
}

/// What is wrong with an `activation_id` that is over.
const OVER: &str = "belongs to no registration that waits; if it was activated, sign in, or else register again";

/// Send another activation code
///
/// The previous code stops working. A registration stays pending for an hour.
#[utoipa::path(
    post,
    path = "/auth/resend-activation",
    operation_id = "resend-activation",
    tag = "Registration",
    params(ProofHeaders),
    request_body = ResendActivationRequest,
    responses(
        (status = 202, description = "A code is on its way to the phone", body = CodeSentResponse),
        BodyProblems, MessageProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Password)?;
    let ResendActivationRequest { activation_id: SealedActivationId(activation_id) } = request.read(&app.config)?;
    let over = || ApiError::invalid_field("/activation_id", &OVER);
    let registration = PendingRegistration::of_id(app, ctx, Waiting::Registration, &activation_id).await?;
    let registration = registration.ok_or_else(over)?;

    let not_served = |why| ApiError::not_served("/activation_id", &why);
    app.check_recipient(&registration.phone).map_err(not_served)?;
    proof::require(app, ctx, registration.purpose(), &registration.phone).await?;
    let target = app.store.code_target(&registration.phone, registration.purpose(), ctx.now).await?;
    let code = registration.send_code(app, ctx, target, None, &[]).await?.ok_or_else(over)?;
    let sent = code.on_its_way_or("/activation_id", "belongs to a phone that cannot receive our messages")?;
    Ok(Response::json(StatusCode::ACCEPTED, &sent))
}
