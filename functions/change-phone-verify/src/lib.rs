//! `POST /auth/change-phone/verify`: completes a change of phone with the code that was sent to the new one.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{
        otp::{OtpCode, Purpose},
        phone::Phone,
    },
    error::TokenProblem,
    flows::{
        admission,
        caller::Caller,
        codes::{self, Compared},
        repeats,
        token_pair::{self, StepUp, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        openapi::{CodeProblems, LimitProblems, PhoneProblems, ServerProblems, TokenProblems},
    },
    messages::Notice,
    request_body,
    store::{PhoneChange, Repeatable, UsedCode},
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
/// session ends; the response has the tokens of a new one. Repeating the request gets the same session until the code
/// expires, if its tokens were not used.
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
    match Box::pin(change(app, ctx, &request)).await {
        // The change has ended the session of this request's token. Its response may have been lost.
        Err(ApiError::InvalidToken(TokenProblem::SessionRenewed)) => {
            let ChangePhoneVerifyRequest { phone, otp } = request.read(&app.config)?;
            let purpose = purpose(&phone);
            let found = repeats::repeated_with_ended_session(app, ctx, &request, &purpose, &otp).await?;
            let tokens = repeats::tokens(app, ctx, &found).await?;
            Ok(Response::json(StatusCode::OK, &tokens))
        }
        answer => answer,
    }
}

/// Returns the purpose by which a repeated request is recognized: the code is good for one phone.
fn purpose(phone: &Phone) -> String {
    format!("change-phone {}", phone.as_e164())
}

async fn change(app: &App, ctx: &Context, request: &Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, request).await?;
    let profile = &caller.profile;
    let ChangePhoneVerifyRequest { phone, otp } = request.read(&app.config)?;

    let keys = TokenKeys::of(app, ctx).await?;
    let compared = codes::compare(app, ctx, Purpose::ChangePhone(profile.user), &phone, &otp);
    let (keys, code) = tokio::join!(keys.current(app, ctx), compared);
    let (code, keys) = (code?, keys?);
    let code = match code {
        Compared::Right(code) => code,
        Compared::Repeated(used) => return repeated(app, ctx, &caller, &keys, &used).await,
    };
    if code.account.is_none_or(|account| (account.user, account.epoch) != (profile.user, profile.epoch)) {
        // All sessions were ended after the code was sent, and the code became invalid with them.
        return Err(ApiError::InvalidOtp);
    }
    // Who the caller is was proved when the code was requested, perhaps in another session.
    let proof = StepUp::default();
    let (mut renewal, answer) = token_pair::renewed_session(app, ctx, &keys, &caller, proof)?;
    let same_request = repeats::of_session(app, ctx, &caller, &purpose(&phone), &otp).await?;
    renewal.repeat = Some(Repeatable { request: same_request, until: code.ends_at(), recovery_seed: None });
    let effect = codes::effect(app, ctx, profile.user, profile.epoch + 1, None).await?;
    let change = Box::pin(app.store.change_phone(profile, &phone, (&code, &effect), renewal, ctx.now));
    let notice = (ctx, profile, Notice::PhoneChanged);
    match admission::with_right_try(app, ctx, app.notify_when(PhoneChange::Done, change, notice)).await? {
        PhoneChange::Done => {}
        // The caller has proved that they own the phone, so this reveals nothing to a stranger.
        PhoneChange::PhoneTaken => return Err(ApiError::PhoneTaken),
        PhoneChange::Overtaken => return Err(caller.overtaken(app, ctx, ApiError::InvalidOtp).await),
    }
    codes::count_verified(app, ctx, &phone);
    Ok(Response::json(StatusCode::OK, &answer))
}

/// Answers a request with a code that was used. If this session goes on from the one that used it, the phone is the
/// account's, and the tokens are the session's own; or that session has just been replaced.
async fn repeated(
    app: &App,
    ctx: &Context,
    caller: &Caller,
    keys: &TokenKeys,
    used: &UsedCode,
) -> Result<Response, ApiError> {
    let profile = &caller.profile;
    if !used.has_made(&codes::effect(app, ctx, profile.user, profile.epoch, None).await?) {
        return Err(caller.overtaken(app, ctx, ApiError::InvalidOtp).await);
    }
    let session = app.store.token_session(profile.user, caller.session).await?;
    let session = session.ok_or(ApiError::InvalidToken(TokenProblem::SessionEnded))?;
    ctx.audit.reason("already-done");
    Ok(Response::json(StatusCode::OK, &TokenResponse::of_started_session(app, ctx, keys, &session).await?))
}
