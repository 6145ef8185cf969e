//! `POST /auth/request-reset`: a code by SMS, to set a new password with.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::{otp::Purpose, phone::Phone},
    flows::{
        self,
        codes::{self, CodeSentResponse},
    },
    http::{
        StatusCode,
        openapi::{BodyProblems, LimitProblems, ServerProblems},
    },
};
use utoipa::ToSchema;

/// Who has forgotten the password.
#[derive(ToSchema)]
pub struct RequestResetRequest {
    /// As at registration, in any spelling.
    #[schema(value_type = String, example = "01012345678")]
    phone: Phone,
}

impl FromFields for RequestResetRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { phone: fields.phone("phone")? })
    }
}

/// Sends a code to set a new password with
///
/// The answer is the same whether or not the phone has an account. The code goes to `POST /auth/verify-reset` within
/// five minutes.
#[utoipa::path(
    post,
    path = "/auth/request-reset",
    operation_id = "request-reset",
    tag = "Password reset",
    request_body = RequestResetRequest,
    responses(
        (status = 202, description = "If the phone has an account, a code is on its way", body = CodeSentResponse),
        BodyProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let RequestResetRequest { phone } = request.read(&app.config)?;

    // A phone without an account gets a code as well, bound to no user: the same calls, and nothing that it opens.
    let target = app.store.code_target(&phone, Purpose::Reset).await?;
    // What came of its message is not told, nor how long it took: it would tell whether there is an account.
    let code = codes::issue(app, ctx, Purpose::Reset, &phone, target, flows::floor(app)).await?;
    Ok(Response::json(StatusCode::ACCEPTED, &CodeSentResponse { otp: code.exposed }))
}
