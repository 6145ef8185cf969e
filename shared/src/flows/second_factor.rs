//! Checking a second factor: counting the try, comparing it, and using up the code.

use super::admission;
use crate::{
    app::App,
    base::id::UserId,
    domain::{phone::Phone, proof::Proof},
    error::ApiError,
    http::context::Context,
    messages::Notice,
    store::RightCode,
};

/// Requires the second factor of an account that has one, and uses up its code, so that no code works twice at any
/// endpoint. Without a proof, the error is 403 `mfa-required`.
///
/// A recovery code causes a notice to the owner of the phone (docs/threats.md#t12).
pub async fn require(
    app: &App,
    ctx: &Context,
    user: UserId,
    phone: &Phone,
    proof: Option<&Proof>,
) -> Result<(), ApiError> {
    let proof = proof.ok_or(ApiError::MfaRequired(None))?;
    let code = judge(app, ctx, user, proof).await?;
    if !app.store.use_factor(&code).await? {
        return Err(ApiError::InvalidOtp);
    }
    if let Proof::Recovery(_) = proof {
        app.notify(ctx, phone, Notice::RecoveryCodeUsed).await;
    }
    Ok(())
}

/// Counts a try, and only then compares it. The caller of this function uses up the right code that it returns.
///
/// An address over its limit uses up none of the account's tries.
pub async fn judge(app: &App, ctx: &Context, user: UserId, proof: &Proof) -> Result<RightCode, ApiError> {
    let secret = app.keyring.secret(ctx.now).await?;
    let attempt = app.store.spend_factor_attempt(user, proof, ctx.now);
    let factor = admission::admit(app, ctx, attempt).await?.ok_or(ApiError::InvalidOtp)?;
    ctx.audit.factor(proof.factor());
    match proof {
        Proof::Totp(code) => {
            let totp = factor.secret.open(&secret.totp, user).map_err(|error| ApiError::Internal(error.into()))?;
            let step = totp.step_of(code, factor.last_step, ctx.now).ok_or(ApiError::InvalidOtp)?;
            Ok(RightCode::Totp { user, secret: factor.secret, step })
        }
        Proof::Recovery(code) => {
            let mac = code.mac(&secret.recovery_code, user);
            if factor.has_recovery_code(|stored| code.is_right(&secret.recovery_code, user, stored)) {
                Ok(RightCode::Recovery { user, mac })
            } else {
                Err(ApiError::InvalidOtp)
            }
        }
    }
}
