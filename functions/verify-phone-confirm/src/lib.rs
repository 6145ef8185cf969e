//! `POST /auth/verify-phone/confirm`: verifies the caller's phone with a code.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::otp::{OtpCode, Purpose},
    flows::{caller::Caller, codes},
    http::openapi::{CodeProblems, LimitProblems, ServerProblems, TokenProblems},
    request_body,
    store::Change,
};

request_body! {
    /// The code that was sent to the phone.
    pub struct VerifyPhoneConfirmRequest {
        /// The six digits of the code.
        otp: OtpCode,
    }
}

/// Verify the caller's phone
///
/// A code allows five tries. The response is the same for a wrong, expired or used code.
#[utoipa::path(
    post,
    path = "/auth/verify-phone/confirm",
    operation_id = "verify-phone-confirm",
    tag = "Account",
    security(("bearer" = [])),
    request_body = VerifyPhoneConfirmRequest,
    responses(
        (status = 204, description = "The phone is verified"),
        CodeProblems, TokenProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let Caller { profile, .. } = Caller::authenticate(app, ctx, &request).await?;
    let VerifyPhoneConfirmRequest { otp } = request.read(&app.config)?;

    let code = codes::compare(app, ctx, Purpose::VerifyPhone, &profile.phone, &otp).await?;
    let account = code.account.filter(|account| account.user == profile.user).ok_or(ApiError::InvalidOtp)?;
    match app.store.confirm_phone(&profile.phone, account, &code, ctx.now).await? {
        Change::Done => {
            codes::count_verified(app, ctx, &profile.phone);
            Ok(Response::no_content())
        }
        Change::Overtaken => Err(ApiError::InvalidOtp),
    }
}
