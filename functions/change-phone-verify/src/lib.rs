//! `POST /auth/change-phone/verify`: completes a change of phone with the code that was sent to the new one.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{
        otp::{OtpCode, Purpose},
        phone::Phone,
    },
    flows::{
        caller::Caller,
        codes,
        token_pair::{self, StepUp, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        openapi::{CodeProblems, LimitProblems, PhoneProblems, ServerProblems, TokenProblems},
    },
    messages::Notice,
    request_body,
    store::PhoneChange,
};

request_body! {
    /// The new phone and the code that was sent to it.
    pub struct ChangePhoneVerifyRequest {
        /// The account's new phone, in any spelling.
        phone: Phone = "01112345678",
        /// The six digits of the code.
        otp: OtpCode,
    }
}

/// Complete a change of phone
///
/// From now on, the new phone signs in, and it counts as verified. The old phone is free and gets a notice. Every
/// session ends; the response has the tokens of a new one.
#[utoipa::path(
    post,
    path = "/auth/change-phone/verify",
    operation_id = "change-phone-verify",
    tag = "Account",
    security(("bearer" = [])),
    request_body = ChangePhoneVerifyRequest,
    responses(
        (status = 200, description = "The tokens of a new session; every other session has ended", body = TokenResponse),
        CodeProblems, TokenProblems, PhoneProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let profile = &caller.profile;
    let ChangePhoneVerifyRequest { phone, otp } = request.read(&app.config)?;

    let keys = TokenKeys::of(app, ctx).await?;
    let compared = codes::compare(app, ctx, Purpose::ChangePhone(profile.user), &phone, &otp);
    let (keys, code) = tokio::join!(keys.current(app, ctx), compared);
    let (code, keys) = (code?, keys?);
    if code.account.is_none_or(|account| (account.user, account.epoch) != (profile.user, profile.epoch)) {
        // All sessions were ended after the code was sent, and the code became invalid with them.
        return Err(ApiError::InvalidOtp);
    }
    // Who the caller is was proved when the code was requested, perhaps in another session.
    let proof = StepUp::default();
    let (renewal, answer) = token_pair::renewed_session(app, ctx, &keys, &caller, proof)?;
    let change = Box::pin(app.store.change_phone(profile, &phone, &code, renewal, ctx.now));
    let notice = (ctx, profile, Notice::PhoneChanged);
    match app.notify_when(PhoneChange::Done, change, notice).await? {
        PhoneChange::Done => {}
        // The caller has proved that they own the phone, so this reveals nothing to a stranger.
        PhoneChange::PhoneTaken => return Err(ApiError::PhoneTaken),
        PhoneChange::Overtaken => return Err(caller.overtaken(app, ctx, ApiError::InvalidOtp).await),
    }
    codes::count_verified(app, ctx, &phone);
    Ok(Response::json(StatusCode::OK, &answer))
}
