//! `POST /auth/verify-reset`: a new password, for whoever has the code.

use shared::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    metrics::Metric,
    openapi::{CodeProblems, LimitProblems, ServerProblems},
    otp::{Binding, OtpCode, Purpose},
    password::NewPassword,
    phone::Phone,
    store::CodeAttempt,
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
}

impl FromFields for VerifyResetRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (phone, otp, new_password) =
            (fields.phone("phone"), fields.otp("otp"), fields.new_password("new_password"));
        let (phone, otp, new_password) = (phone?, otp?, new_password?);
        let new_password =
            new_password.not_the_phone(&phone).map_err(|why| fields.refuse("new_password", &why)).ok()?;
        Some(Self { phone, otp, new_password })
    }
}

/// Sets a new password with a code
///
/// Every session ends, and the phone counts as verified. A code has five tries; a wrong, an expired and a used code get
/// the same answer.
#[utoipa::path(
    post,
    path = "/auth/verify-reset",
    operation_id = "verify-reset",
    tag = "Password reset",
    request_body = VerifyResetRequest,
    responses(
        (status = 204, description = "The password is set; every session has ended"),
        CodeProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let VerifyResetRequest { phone, otp, new_password } = request.read(&app.config)?;
    let (purpose, secret) = (Purpose::Reset, app.keyring.secret(ctx.now).await?);
    let key = &secret.otp;

    // The try is counted before the code is looked at.
    let max_attempts = app.config.otp.max_attempts;
    let (allowed, attempt) = tokio::try_join!(
        app.charge_sign_in_attempt(ctx),
        app.store.spend_code_attempt(&phone, purpose, max_attempts, ctx.now)
    )?;
    let pending = match (allowed, attempt) {
        (Ok(()), CodeAttempt::Admitted { code, .. }) => code,
        (Ok(()), CodeAttempt::None) => return Err(ApiError::InvalidOtp),
        // Whoever is over the address's limit must not use up the code's tries.
        (Err(reached), CodeAttempt::Admitted { receipt, .. }) => {
            app.store.take_back(receipt).await?;
            return Err(reached.into());
        }
        (Ok(()), CodeAttempt::LimitReached(reached))
        | (Err(reached), CodeAttempt::None | CodeAttempt::LimitReached(_)) => return Err(reached.into()),
    };
    let user = pending.account.map(|(user, _)| user);
    let binding = Binding { purpose, phone: &phone, user, challenge: pending.challenge };
    if !pending.mac.matches(key, binding, &otp) {
        return Err(ApiError::InvalidOtp);
    }
    // A phone without an account: the code that nobody was sent was guessed.
    let account = pending.account.ok_or(ApiError::InvalidOtp)?;

    let new_hash = app.hasher.hash(&new_password)?;
    if app.store.reset_password(&phone, account, &pending, &new_hash, ctx.now).await? {
        app.metrics.count(Metric::CodesVerified, &phone.country_code(), ctx.now);
        Ok(Response::no_content())
    } else {
        Err(ApiError::InvalidOtp)
    }
}
