//! `POST /auth/verify-phone`: a code by SMS, to confirm the account's phone with.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::otp::Purpose,
    error::TokenProblem,
    flows::{
        caller::Caller,
        codes::{self, CodeSentResponse},
    },
    http::{
        StatusCode,
        openapi::{LimitProblems, ServerProblems, TokenProblems},
    },
};

/// Sends a code to confirm the caller's phone with
///
/// It goes to `POST /auth/verify-phone/confirm` within five minutes. A phone that is confirmed already is sent nothing.
#[utoipa::path(
    post,
    path = "/auth/verify-phone",
    operation_id = "verify-phone",
    tag = "Account",
    security(("bearer" = [])),
    responses(
        (status = 202, description = "A code is on its way", body = CodeSentResponse),
        (status = 204, description = "The phone is confirmed already"),
        TokenProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let Caller { profile, .. } = Caller::authenticate(app, ctx, &request).await?;
    if profile.phone_verified {
        return Ok(Response::no_content());
    }

    let target = app.store.code_target(&profile.phone, Purpose::VerifyPhone).await?;
    if target.account.is_none_or(|account| account.user != profile.user) {
        // The phone left this account after the token was judged.
        return Err(ApiError::InvalidToken(TokenProblem::SessionEnded));
    }
    let code = codes::issue(app, ctx, Purpose::VerifyPhone, &profile.phone, target, None).await?;
    Ok(Response::json(StatusCode::ACCEPTED, &code.on_its_way()?))
}
