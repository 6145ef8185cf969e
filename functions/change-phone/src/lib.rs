//! `POST /auth/change-phone`: sends a code to the account's new phone.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{otp::Purpose, phone::Phone, proof::Proof},
    flows::{
        caller::Caller,
        codes::{self, CodeSentResponse},
        proof,
    },
    http::{
        StatusCode,
        members::OwnPassword,
        openapi::{ChangePhoneProblems, CodeProblems, LimitProblems, ProofHeaders, ServerProblems, TokenProblems},
    },
    request_body,
};

request_body! {
    /// The account's password and its new phone.
    pub struct ChangePhoneRequest {
        /// The account's password, required if it has one. Without one, the sign-in or `POST /auth/step-up` must be at most
        /// ten minutes old.
        password: OwnPassword,
        /// The account's new phone, in any spelling.
        phone: Phone = "01112345678",
        /// The TOTP code, required if a second factor is on. `recovery_code` may be sent instead.
        code: Option<Proof>,
    }
}

/// Send a code to a new phone
///
/// Nothing changes until the code is sent to `POST /auth/change-phone/verify`, within five minutes. The response is the
/// same if the new phone has an account; only its owner learns of the request, by the code.
#[utoipa::path(
    post,
    path = "/auth/change-phone",
    operation_id = "change-phone",
    tag = "Account",
    security(("bearer" = [])),
    params(ProofHeaders),
    request_body = ChangePhoneRequest,
    responses(
        (status = 202, description = "A code is on its way to the new phone", body = CodeSentResponse),
        CodeProblems, TokenProblems, ChangePhoneProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let ChangePhoneRequest { password: OwnPassword(password), phone, code: proof } =
        request.read_again(&app.config, caller.has_password(app))?;
    ctx.audit.phone(&phone);
    if Some(&phone) == caller.profile.phone() {
        return Err(ApiError::invalid_field("/phone", &"is already the phone of this account; choose another one"));
    }

    let purpose = Purpose::ChangePhone(caller.profile.user);
    // Before the second factor, whose code works once.
    proof::require(app, ctx, purpose, &phone).await?;
    let what = format!("change-phone {}", phone.as_e164());
    let proofs = (password.as_ref(), proof.as_ref());
    let proved = caller.reauthenticate_to(app, ctx, Some(&what), proofs);
    let target = async { Ok(app.store.code_target(&phone, purpose, ctx.now).await?) };
    let (proved, target) = if caller.profile.mfa_enabled && proof.is_some() {
        // Before it, too: a limit would refuse the code when the factor is used up already.
        let target = target.await?;
        codes::require_room(app, ctx, (purpose, &phone), caller.profile.user, &target).await?;
        (proved.await?, target)
    } else {
        tokio::try_join!(proved, target)?
    };
    let target = target.for_account(Some(proved.account));
    let code = codes::issue(app, ctx, purpose, &phone, target, None).await?;
    Ok(Response::json(StatusCode::ACCEPTED, &code.on_its_way_to_field("/phone")?))
}
