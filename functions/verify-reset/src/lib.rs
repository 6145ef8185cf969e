//! `POST /auth/verify-reset`: a new password, for whoever has the code.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::{
        otp::{OtpCode, Purpose},
        password::NewPassword,
        phone::Phone,
        proof::Proof,
    },
    flows::{codes, second_factor},
    http::openapi::{CodeProblems, LimitProblems, MfaProblems, ServerProblems},
    store::Change,
};
use utoipa::ToSchema;

/// The code and the new password.
#[derive(ToSchema)]
pub struct VerifyResetRequest {
    /// The phone that the code was sent to, in any spelling.
    #[schema(value_type = String, example = "01012345678")]
    phone: Phone,
    /// The six digits.
    #[schema(value_type = String, example = "123456")]
    otp: OtpCode,
    /// At least 8 characters of any kind, not a common password, not the phone.
    #[schema(value_type = String, format = Password, example = "newPass456")]
    new_password: NewPassword,
    /// The authenticator's code, where a second factor is on: `code`, or `recovery_code` in its place.
    #[schema(value_type = Option<String>, example = "654321")]
    code: Option<Proof>,
}

impl FromFields for VerifyResetRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (phone, otp, new_password) =
            (fields.phone("phone"), fields.otp("otp"), fields.new_password("new_password"));
        let code = fields.proof();
        let (phone, otp, new_password) = (phone?, otp?, new_password?);
        let new_password =
            new_password.not_the_phone(&phone).map_err(|why| fields.refuse("new_password", &why)).ok()?;
        Some(Self { phone, otp, new_password, code })
    }
}

/// Sets a new password with a code
///
/// Every session ends, and the phone counts as verified. A code has five tries; a wrong, an expired and a used code get
/// the same answer. A second factor stays on, and has to be shown as well: a missing one leaves the code as it is.
#[utoipa::path(
    post,
    path = "/auth/verify-reset",
    operation_id = "verify-reset",
    tag = "Password reset",
    request_body = VerifyResetRequest,
    responses(
        (status = 204, description = "The password is set; every session has ended"),
        CodeProblems, MfaProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let VerifyResetRequest { phone, otp, new_password, code: proof } = request.read(&app.config)?;
    let code = codes::compare(app, ctx, Purpose::Reset, &phone, &otp).await?;
    // A phone without an account: the code that nobody was sent was guessed.
    let account = code.account.ok_or(ApiError::InvalidOtp)?;
    if account.mfa_enabled {
        if !app.store.is_still(&phone, account).await? {
            // The code died with what the account was: it must not cost a recovery code.
            return Err(ApiError::InvalidOtp);
        }
        // Only now: who has a second factor is for nobody to learn who cannot read the phone's messages.
        second_factor::require(app, ctx, account.user, &phone, proof.as_ref()).await?;
    }

    let new_hash = app.hasher.hash(&new_password)?;
    match app.store.reset_password(&phone, account, &code, &new_hash, ctx.now).await? {
        Change::Done => {
            codes::count_verified(app, ctx, &phone);
            Ok(Response::no_content())
        }
        Change::Overtaken => Err(ApiError::InvalidOtp),
    }
}
