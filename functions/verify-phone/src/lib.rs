//! `POST /auth/verify-phone`: sends a code to verify the caller's phone.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::otp::Purpose,
    error::TokenProblem,
    flows::{
        caller::Caller,
        codes::{self, CodeSentResponse},
        proof,
    },
    http::{
        StatusCode,
        openapi::{LimitProblems, OwnMessageProblems, ProofHeaders, RecipientProblems, ServerProblems, TokenProblems},
    },
};

/// Send a code to verify the caller's phone
///
/// Send the code to `POST /auth/verify-phone/confirm` within five minutes. A phone that is already verified gets no
/// code.
#[utoipa::path(
    post,
    path = "/auth/verify-phone",
    operation_id = "verify-phone",
    tag = "Account",
    security(("bearer" = [])),
    params(ProofHeaders),
    responses(
        (status = 202, description = "A code is on its way to the phone", body = CodeSentResponse),
        (status = 204, description = "The phone is already verified"),
        RecipientProblems, TokenProblems, OwnMessageProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let (profile, phone) = (&caller.profile, caller.phone()?);
    if profile.phone_verified {
        return Ok(Response::no_content());
    }

    app.check_recipient(phone).map_err(|why| ApiError::invalid_field("", &format!("the phone {why}")))?;
    proof::require(app, ctx, Purpose::VerifyPhone, phone).await?;
    let target = app.store.code_target(phone, Purpose::VerifyPhone, ctx.now).await?;
    if target.account.is_none_or(|account| account.user != profile.user) {
        // The account lost this phone after the token was verified.
        return Err(ApiError::InvalidToken(TokenProblem::SessionEnded));
    }
    let code = codes::issue(app, ctx, Purpose::VerifyPhone, phone, target, None).await?;
    Ok(Response::json(StatusCode::ACCEPTED, &code.on_its_way_or("", "the phone cannot receive our messages")?))
}
