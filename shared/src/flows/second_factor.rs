//! Checking a second factor: counting the try, comparing it, and using up the code.

use super::admission;
use crate::{
    app::App,
    base::id::UserId,
    domain::{phone::Phone, proof::Proof},
    error::{ApiError, TokenProblem},
    http::context::Context,
    messages::Notice,
    store::{AskedAt, RightCode},
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
    at: AskedAt,
) -> Result<(), ApiError> {
    let proof = proof.ok_or(ApiError::MfaRequired(None))?;
    let code = judge(app, ctx, user, proof, at).await?;
    if !app.store.use_factor(&code).await? {
        return Err(wrong(proof));
    }
    if let Proof::Recovery(_) = proof {
        app.notify(ctx, phone, Notice::RecoveryCodeUsed).await;
    }
    Ok(())
}

/// Returns the error for a proof that is wrong or was used before.
pub const fn wrong(proof: &Proof) -> ApiError {
    match proof {
        Proof::Totp(_) => ApiError::WrongTotp,
        Proof::Recovery(_) => ApiError::WrongRecoveryCode,
    }
}

/// Returns the error for a proof that was right, after which another request changed the account: the proof is used up.
pub fn used(proof: Option<&Proof>) -> ApiError {
    proof.map_or(ApiError::MfaRequired(None), wrong)
}

/// Counts a try, and only then compares it. The caller of this function uses up the right code that it returns.
///
/// An address over its limit uses up none of the account's tries. A recovery code waits for no count of wrong codes,
/// and delays none.
pub async fn judge(app: &App, ctx: &Context, user: UserId, proof: &Proof, at: AskedAt) -> Result<RightCode, ApiError> {
    let secret = app.keyring.secret(ctx.now).await?;
    let code = match proof {
        Proof::Totp(code) => {
            let attempt = app.store.spend_totp_attempt(user, at, ctx.now);
            let factor = admission::admit(app, ctx, attempt).await?.ok_or(ApiError::WrongTotp)?;
            let totp = factor.secret.open(&secret.totp, user).map_err(|error| ApiError::Internal(error.into()))?;
            let step = totp.step_of(code, factor.last_step, ctx.now);
            if step.is_none() && totp.step_of(code, None, ctx.now).is_some() {
                ctx.audit.factor(proof.factor());
                return Err(ApiError::UsedTotp);
            }
            step.map(|step| RightCode::Totp { user, secret: factor.secret, step, at })
        }
        Proof::Recovery(code) => {
            let read = app.store.factor_to_recover(user, at, ctx.now);
            let factor = admission::admit_unguessable(app, ctx, read).await?.ok_or_else(|| match at {
                AskedAt::Login(_) => ApiError::InvalidToken(TokenProblem::LoginOver),
                AskedAt::Session | AskedAt::Reset => ApiError::WrongRecoveryCode,
            })?;
            let is_right = factor.has_recovery_code(|stored| code.is_right(&secret.recovery_code, user, stored));
            is_right.then(|| RightCode::Recovery { user, mac: code.mac(&secret.recovery_code, user) })
        }
    };
    ctx.audit.factor(proof.factor());
    code.ok_or_else(|| wrong(proof))
}
