//! The second factor as endpoints ask for it: counted, compared, used up.

use crate::{
    app::App,
    audit::Factor,
    context::Context,
    error::{ApiError, Bucket},
    id::UserId,
    otp::OtpCode,
    phone::Phone,
    recovery_code::RecoveryCode,
    sms::Notice,
    store::{FactorAttempt, FactorKind, RightCode},
};

/// What somebody shows.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The code of the authenticator.
    Totp(OtpCode),
    /// A recovery code.
    Recovery(RecoveryCode),
}

/// Asks for the second factor of an account that has one, and uses what is shown up: no code works twice, wherever it is
/// shown. 403 `mfa-required` when nothing is.
///
/// The owner of the phone is told when it is a recovery code (SECURITY T12).
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

/// Counts a guess, and only then compares it. A right code is still to be used up.
///
/// Whoever is over the address's limit does not use up the account's guesses.
pub async fn judge(app: &App, ctx: &Context, user: UserId, proof: &Proof) -> Result<RightCode, ApiError> {
    let kind = match proof {
        Proof::Totp(_) => FactorKind::Totp,
        Proof::Recovery(_) => FactorKind::Recovery,
    };
    let secret = app.keyring.secret(ctx.now).await?;
    let (allowed, attempt) =
        tokio::try_join!(app.charge_sign_in_attempt(ctx), app.store.spend_factor_attempt(user, kind, ctx.now))?;
    let factor = match (allowed, attempt) {
        (Ok(()), FactorAttempt::Admitted { factor, .. }) => factor,
        (Err(reached), FactorAttempt::Admitted { receipt, .. }) => {
            app.store.take_back(receipt).await?;
            return Err(reached.into());
        }
        (Err(reached), _) => return Err(reached.into()),
        (Ok(()), FactorAttempt::Throttled { retry_after }) => {
            return Err(ApiError::TooManyRequests { bucket: Bucket::Mfa, retry_after });
        }
        (Ok(()), FactorAttempt::Off) => return Err(ApiError::InvalidOtp),
    };
    ctx.audit.factor(match proof {
        Proof::Totp(_) => Factor::Totp,
        Proof::Recovery(_) => Factor::RecoveryCode,
    });
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
