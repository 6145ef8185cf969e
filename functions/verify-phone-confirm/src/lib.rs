//! `POST /auth/verify-phone/confirm`: verifies the caller's phone with a code.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::otp::{OtpCode, Purpose},
    flows::{
        admission,
        caller::Caller,
        codes::{self, Compared},
    },
    http::openapi::{CodeProblems, LimitProblems, ParkedProblems, ServerProblems, TokenProblems},
    request_body,
    store::CodeUse,
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
/// Repeating the request that used the code gets the same response until the code expires.
#[utoipa::path(
    post,
    path = "/auth/verify-phone/confirm",
    operation_id = "verify-phone-confirm",
    tag = "Account",
    security(("bearer" = [])),
    request_body = VerifyPhoneConfirmRequest,
    responses(
        (status = 204, description = "The phone is verified"),
        CodeProblems, TokenProblems, ParkedProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let (profile, phone) = (&caller.profile, caller.phone()?);
    let VerifyPhoneConfirmRequest { otp } = request.read(&app.config)?;
    if profile.phone_verified {
        // By another code of it: of two that arrived, or of another device.
        ctx.audit.reason("already-done");
        return Ok(Response::no_content());
    }

    let effect = codes::effect(app, ctx, profile.user, profile.epoch, None).await?;
    let used = match codes::compare(app, ctx, Purpose::VerifyPhone, phone, &otp).await? {
        Compared::Right(code) => {
            let account = code.account.filter(|account| account.user == profile.user).ok_or(ApiError::InvalidOtp)?;
            let confirmed = app.store.confirm_phone(phone, account, (&code, &effect), ctx.now);
            match admission::with_right_try(app, ctx, confirmed).await? {
                CodeUse::Done => {
                    codes::count_verified(app, ctx, phone);
                    return Ok(Response::no_content());
                }
                CodeUse::Repeated(used) => used,
                CodeUse::Overtaken => return Err(ApiError::InvalidOtp),
            }
        }
        Compared::Repeated(used) => used,
    };
    // The response of the request that used the code was lost: the phone is verified.
    if !used.has_made(&effect) {
        return Err(ApiError::InvalidOtp);
    }
    ctx.audit.reason("already-done");
    Ok(Response::no_content())
}
