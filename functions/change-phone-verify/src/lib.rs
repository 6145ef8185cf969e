//! `POST /auth/change-phone/verify`: the account has the new phone, by the code.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::{
        otp::{OtpCode, Purpose},
        phone::Phone,
    },
    flows::{caller::Caller, codes},
    http::openapi::{CodeProblems, LimitProblems, PhoneProblems, ServerProblems, TokenProblems},
    messages::Notice,
    store::PhoneChange,
};
use utoipa::ToSchema;

/// The new phone, and the code that was sent to it.
#[derive(ToSchema)]
pub struct ChangePhoneVerifyRequest {
    /// The phone that the account is to have, in any spelling.
    #[schema(value_type = String, example = "01112345678")]
    phone: Phone,
    /// The six digits.
    #[schema(value_type = String, example = "123456")]
    otp: OtpCode,
}

impl FromFields for ChangePhoneVerifyRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (phone, otp) = (fields.phone("phone"), fields.otp("otp"));
        Some(Self { phone: phone?, otp: otp? })
    }
}

/// Gives the account another phone with a code
///
/// From now on the account is signed in to with the new phone, which counts as confirmed; the old one is free, and is told.
/// Every other session ends.
#[utoipa::path(
    post,
    path = "/auth/change-phone/verify",
    operation_id = "change-phone-verify",
    tag = "Account",
    security(("bearer" = [])),
    request_body = ChangePhoneVerifyRequest,
    responses(
        (status = 204, description = "The account has the new phone; every other session has ended"),
        CodeProblems, TokenProblems, PhoneProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let profile = &caller.profile;
    let ChangePhoneVerifyRequest { phone, otp } = request.read(&app.config)?;

    let code = codes::compare(app, ctx, Purpose::ChangePhone(profile.user), &phone, &otp).await?;
    if code.account.is_none_or(|account| (account.user, account.epoch) != (profile.user, profile.epoch)) {
        // Sessions were ended since: codes with them.
        return Err(ApiError::InvalidOtp);
    }
    let change = Box::pin(app.store.change_phone(profile, &phone, &code, caller.session, ctx.now));
    let notice = (ctx, profile, Notice::PhoneChanged);
    match app.notify_when(PhoneChange::Done, change, notice).await? {
        PhoneChange::Done => {}
        // Told to somebody who has shown that the phone is theirs.
        PhoneChange::PhoneTaken => return Err(ApiError::PhoneTaken),
        PhoneChange::Overtaken => return Err(caller.overtaken(app, ctx, ApiError::InvalidOtp).await),
    }
    codes::count_verified(app, ctx, &phone);
    Ok(Response::no_content())
}
