//! Checking a second factor: counting the try, comparing it, and using up the code.

use super::admission;
use crate::{
    app::App,
    base::{fault::Source, id::UserId},
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

fn internal<E: Into<Source>>(error: E) -> ApiError {
    ApiError::Internal(error.into())
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
    let code = match proof {
        Proof::Totp(code) => {
            let attempt = app.store.spend_totp_attempt(user, at, ctx.now);
            let admitted = admission::admit_with_receipt(app, ctx, attempt).await?;
            let (factor, receipt) = admitted.ok_or(ApiError::WrongTotp)?;
            let kid = factor.secret.kid().map_err(internal)?;
            let keys = async { Ok((app.keyring.opening(kid, ctx.now).await?, app.keyring.secret(ctx.now).await?)) };
            match admission::or_take_back(app, &receipt, keys.await).await? {
                (Some(keys), secret) => {
                    let totp = factor.secret.open(&keys.totp, user).map_err(internal)?;
                    let right = totp.step_of(code, factor.last_step, ctx.now).map(|step| {
                        // Sealed by the same write that uses up the code, and never with an older key.
                        let is_old = kid < secret.writing.kid;
                        let sealed_anew = is_old.then(|| totp.seal(&secret.writing.totp, user)).transpose();
                        sealed_anew.map(|sealed_anew| RightCode::Totp {
                            user,
                            secret: factor.secret,
                            sealed_anew,
                            step,
                            at,
                        })
                    });
                    right.transpose().map_err(internal)?
                }
                (None, _) => {
                    tracing::warn!(
                        target: "latchkey::events", event = "second-factor-lost", %user, key = kid.as_byte(),
                        "the key of this second factor was retired: only a recovery code is right"
                    );
                    None
                }
            }
        }
        Proof::Recovery(code) => {
            let read = app.store.factor_to_recover(user, at, ctx.now);
            let factor = admission::admit_unguessable(app, ctx, read).await?.ok_or_else(|| match at {
                AskedAt::Login(_) => ApiError::InvalidToken(TokenProblem::LoginOver),
                AskedAt::Session | AskedAt::Reset => ApiError::WrongRecoveryCode,
            })?;
            let hash = code.hash(user);
            factor.has_recovery_code(&hash).then_some(RightCode::Recovery { user, hash })
        }
    };
    ctx.audit.factor(proof.factor());
    code.ok_or_else(|| wrong(proof))
}
