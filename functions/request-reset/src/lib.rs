//! `POST /auth/request-reset`: a code by SMS, to set a new password with.

use serde::Serialize;
use shared::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    app::SmsSubjects,
    http::StatusCode,
    id::ChallengeId,
    openapi::{BodyProblems, LimitProblems, ServerProblems},
    otp::{Binding, OtpCode, OtpMac, Purpose},
    phone::Phone,
    sms::{Delivery, Message},
    store::{CodeIssue, NewCode},
};
use tokio::time::Instant;
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

/// That the request was taken; not whether the phone has an account.
#[derive(Serialize, ToSchema)]
pub struct RequestResetResponse {
    /// The code, for development: only with `OTP_EXPOSE`. For a phone without an account it is a code that no one takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "042424")]
    otp: Option<String>,
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
        (status = 202, description = "If the phone has an account, a code is on its way", body = RequestResetResponse),
        BodyProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let RequestResetRequest { phone } = request.read(&app.config)?;
    let started = Instant::now();
    let (purpose, secret) = (Purpose::Reset, app.keyring.secret(ctx.now).await?);
    let key = &secret.otp;

    // A phone without an account gets a code as well, bound to no user: the same calls, and nothing that it opens.
    let target = app.store.code_target(&phone, purpose).await?;
    let test_code = app.test_code(&phone).cloned();
    let is_test = test_code.is_some();
    let code = test_code.map_or_else(OtpCode::generate, Ok)?;
    let challenge = ChallengeId::generate()?;
    let user = target.account.map(|(user, _)| user);
    let mac = OtpMac::new(key, Binding { purpose, phone: &phone, user, challenge }, &code);

    let settings = app.config.otp;
    let new_code = NewCode {
        purpose,
        phone: &phone,
        target,
        challenge,
        mac: &mac,
        now: ctx.now,
        ttl: settings.ttl,
        cooldown: settings.resend_cooldown,
    };
    let subjects = SmsSubjects::new(&phone, ctx);
    let budgets = app.sms_budgets(&subjects);
    // A test number is sent nothing, and so costs nothing.
    match app.store.issue_code(new_code, if is_test { &[] } else { &budgets }).await? {
        CodeIssue::Issued => {}
        CodeIssue::LimitReached(reached) => return Err(app.sms_limit_reached(reached, ctx.now)),
    }

    if target.account.is_some() && !is_test {
        let message = Message::with_code(&app.config.sms.text, purpose, ctx.language, &phone, &code, ctx.now);
        // What came of it is not told: it would tell whether there is an account.
        if let Delivery::Refused(_) | Delivery::NotSent(_) = app.send(message).await {
            app.store.withdraw_code(&phone, purpose, challenge, ctx.now).await?;
        }
    }
    app.wait_until_all_take_as_long(started).await;
    let otp = settings.expose.then(|| code.reveal().to_owned());
    Ok(Response::json(StatusCode::ACCEPTED, &RequestResetResponse { otp }))
}
