//! `POST /auth/request-reset`: sends a code to reset the password.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{otp::Purpose, phone::KnownPhone, proof::SignInMethod},
    flows::{
        self,
        codes::{self, CodeSentResponse},
    },
    http::{
        StatusCode,
        openapi::{BodyProblems, LimitProblems, MethodProblems, ServerProblems},
    },
    request_body,
};

request_body! {
    /// The phone of the account whose password is forgotten.
    pub struct RequestResetRequest {
        /// The account's phone, in any spelling.
        phone: KnownPhone,
    }
}

/// Send a code to reset the password
///
/// The response is the same whether or not the phone has an account. Send the code to `POST /auth/verify-reset` within
/// five minutes.
#[utoipa::path(
    post,
    path = "/auth/request-reset",
    operation_id = "request-reset",
    tag = "Password reset",
    request_body = RequestResetRequest,
    responses(
        (status = 202, description = "If the phone has an account, a code is on its way", body = CodeSentResponse),
        BodyProblems, MethodProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Password)?;
    let RequestResetRequest { phone: KnownPhone(phone) } = request.read(&app.config)?;

    // A phone without an account gets a code too, bound to no user: it costs the same calls and opens nothing.
    let target = app.store.code_target(&phone, Purpose::Reset, ctx.now).await?;
    // Neither the outcome of the message nor its duration is revealed, because it would show whether there is an
    // account.
    let code = codes::issue(app, ctx, Purpose::Reset, &phone, target, flows::floor(app)).await?;
    Ok(Response::json(StatusCode::ACCEPTED, &CodeSentResponse { otp: code.exposed }))
}
