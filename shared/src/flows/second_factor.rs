//! Checking a second factor: counting the try, comparing it, and using up the code.

use std::time::Duration;

use super::admission;
use crate::{
    app::App,
    base::{fault::Source, id::UserId, kid::Kid},
    domain::{otp::OtpCode, phone::Phone, proof::Proof, repeat::RepeatMac, totp::TotpSecret},
    error::{ApiError, TokenProblem},
    http::context::Context,
    messages::Notice,
    store::{AskedAt, FactorUse, RightCode, SealedAnew, SecondFactor, StoreError, UsedUp},
};

/// The time for which a request that has used up a second factor may be under way. No function runs longer.
pub const UNDER_WAY: Duration = Duration::from_secs(10);

/// The time for which a client may repeat a request whose code is not ours, but an authenticator's. It covers two
/// time-outs of 60 s and a user who tries again.
pub const REPEATABLE: Duration = Duration::from_mins(5);

/// The reason why a proof opens nothing.
#[derive(Debug)]
pub enum Refusal {
    /// It is wrong or was used, or could not be judged.
    Because(ApiError),
    /// The account has no second factor any more.
    Gone(ApiError),
    /// It was right, and the same request has used it up a moment ago.
    BySame(FactorUse, ApiError),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Because(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Because(error.into())
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let (Refusal::Because(error) | Refusal::Gone(error) | Refusal::BySame(_, error)) = refusal;
        error
    }
}

/// Where a second factor is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The user whose factor it is.
    pub user: UserId,
    /// The step of the user's path.
    pub at: AskedAt,
    /// What tells the place from others of the same user: the session, the purpose of the code of a reset.
    pub place: &'a str,
    /// The code by SMS that is shown with the factor.
    pub otp: Option<&'a OtpCode>,
    /// The time for which the request is recognized that has used up the factor.
    pub good_for: Duration,
}

impl Asked<'_> {
    /// Returns the hash by which the request that shows this factor here is recognized.
    pub async fn request(&self, app: &App, ctx: &Context, proof: &Proof) -> Result<RepeatMac, ApiError> {
        let secret = app.keyring.secret(ctx.now).await?;
        Ok(RepeatMac::of_factor(&secret.counting.otp.key, self.user, self.place, self.otp, proof))
    }
}

/// Requires the second factor of an account that has one, and uses up its code, so that no code works twice at any
/// endpoint. Without a proof, the error is 403 `mfa-required`.
///
/// The same request may have used up the code a moment ago. Then the caller of this function waits for what becomes of that
/// one, so that nobody is told that a right code is wrong (docs/adr/0029-a-lost-confirmation.md).
///
/// A recovery code causes a notice to the owner of the phone (docs/threats.md#t12), if the account has one.
pub async fn require(
    app: &App,
    ctx: &Context,
    asked: Asked<'_>,
    phone: Option<&Phone>,
    proof: Option<&Proof>,
) -> Result<(), Refusal> {
    let proof = proof.ok_or(ApiError::MfaRequired(None))?;
    let request = asked.request(app, ctx, proof).await?;
    let code = judge_request(app, ctx, (asked.user, asked.at), proof, Some(&request)).await?;
    let by = FactorUse { request, until: ctx.now.plus(asked.good_for), session: None };
    use_up(app, ctx, &code, proof, &by).await?;
    if let (Proof::Recovery(_), Some(phone)) = (proof, phone) {
        app.notify(ctx, phone, Notice::RecoveryCodeUsed).await;
    }
    Ok(())
}

/// Uses up a code that was judged to be right.
pub async fn use_up(app: &App, ctx: &Context, code: &RightCode, proof: &Proof, by: &FactorUse) -> Result<(), Refusal> {
    match admission::with_right_try(app, ctx, app.store.use_factor(code, by, ctx.now)).await? {
        UsedUp::Done => Ok(()),
        UsedUp::BySame(by) => Err(Refusal::BySame(by, wrong(proof))),
        UsedUp::ByOther => Err(wrong(proof).into()),
        UsedUp::Gone => Err(Refusal::Gone(wrong(proof))),
    }
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
    Ok(judge_request(app, ctx, (user, at), proof, None).await?)
}

/// The same, which also tells if this request has used up the code a moment ago. That is compared after the try is counted,
/// like the code itself; the try of a code that was right is taken back.
pub async fn judge_request(
    app: &App,
    ctx: &Context,
    (user, at): (UserId, AskedAt),
    proof: &Proof,
    request: Option<&RepeatMac>,
) -> Result<RightCode, Refusal> {
    let used_by_same = |factor: &SecondFactor| match request {
        Some(request) => factor.used_by_same(request, ctx.now),
        None => Ok(None),
    };
    let code = match proof {
        Proof::Totp(code) => {
            let attempt = app.store.spend_totp_attempt(user, at, ctx.now);
            let admitted = admission::admit_with_receipt(app, ctx, attempt).await?;
            let (factor, receipt) = admitted.ok_or(Refusal::Gone(ApiError::WrongTotp))?;
            if let Some(by) = used_by_same(&factor)? {
                ctx.audit.factor(proof.factor());
                app.store.take_back(receipt).await?;
                return Err(Refusal::BySame(by, ApiError::UsedTotp));
            }
            let kid = factor.secret.kid().map_err(internal)?;
            let keys = app.keyring.opening(kid, ctx.now).await;
            match admission::or_take_back(app, &receipt, keys).await? {
                Some(keys) => {
                    let totp = factor.secret.open(&keys.totp, user).map_err(internal)?;
                    let step = totp.step_of(code, factor.last_step, ctx.now);
                    if step.is_none() && totp.step_of(code, None, ctx.now).is_some() {
                        ctx.audit.factor(proof.factor());
                        return Err(ApiError::UsedTotp.into());
                    }
                    match step {
                        Some(step) => {
                            let anew = sealed_anew(app, ctx, user, &factor, &totp).await;
                            let anew = admission::or_take_back(app, &receipt, anew).await?;
                            Some(RightCode::Totp { user, secret: factor.secret, anew, step, at })
                        }
                        None => None,
                    }
                }
                None => lost(user, kid),
            }
        }
        Proof::Recovery(code) => {
            let read = app.store.factor_to_recover(user, at, ctx.now);
            let factor = admission::admit_unguessable(app, ctx, read).await?.ok_or_else(|| match at {
                AskedAt::Login(_) => ApiError::InvalidToken(TokenProblem::LoginOver).into(),
                AskedAt::Session | AskedAt::Reset => Refusal::Gone(ApiError::WrongRecoveryCode),
            })?;
            if let Some(by) = used_by_same(&factor)? {
                ctx.audit.factor(proof.factor());
                return Err(Refusal::BySame(by, ApiError::WrongRecoveryCode));
            }
            let kid = factor.recovery_key.kid().map_err(internal)?;
            match app.keyring.opening(kid, ctx.now).await.map_err(ApiError::from)? {
                Some(keys) => {
                    let key = factor.recovery_key.open(&keys.totp, user).map_err(internal)?;
                    let right = factor.find_recovery_code(|stored| code.matching(&key, user, stored));
                    right.map(|mac| RightCode::Recovery { user, mac })
                }
                None => lost(user, kid),
            }
        }
    };
    ctx.audit.factor(proof.factor());
    code.ok_or_else(|| wrong(proof).into())
}

/// Does the same for an account that does not exist, where nothing may tell so. The proof is always wrong.
pub async fn judge_nobody(app: &App, ctx: &Context, proof: &Proof, at: AskedAt) -> Result<RightCode, ApiError> {
    let user = UserId::generate()?;
    match proof {
        Proof::Totp(_) => admission::admit_nobody(app, ctx, app.store.spend_totp_attempt(user, at, ctx.now)).await?,
        Proof::Recovery(_) => admission::admit_nobody(app, ctx, app.store.factor_to_recover(user, at, ctx.now)).await?,
    }
    ctx.audit.factor(proof.factor());
    Err(wrong(proof))
}

/// Seals anew what is sealed with an older version than the one that writes. It is stored by the write that uses up the
/// code, and never with an older version.
async fn sealed_anew(
    app: &App,
    ctx: &Context,
    user: UserId,
    factor: &SecondFactor,
    totp: &TotpSecret,
) -> Result<SealedAnew, ApiError> {
    let writing = app.keyring.secret(ctx.now).await?.writing;
    let is_old = |kid| kid < writing.kid;
    let mut anew = SealedAnew::default();
    if is_old(factor.secret.kid().map_err(internal)?) {
        anew.secret = Some(totp.seal(&writing.totp, user).map_err(internal)?);
    }
    let recovery_kid = factor.recovery_key.kid().map_err(internal)?;
    if is_old(recovery_kid)
        && let Some(keys) = app.keyring.opening(recovery_kid, ctx.now).await?
    {
        let key = factor.recovery_key.open(&keys.totp, user).map_err(internal)?;
        let sealed = key.seal(&writing.totp, user).map_err(internal)?;
        anew.recovery_key = Some((factor.recovery_key.clone(), sealed));
    }
    Ok(anew)
}

/// Reports that nothing is right any more, because an operator has retired the key that somebody still needed.
fn lost(user: UserId, kid: Kid) -> Option<RightCode> {
    tracing::warn!(
        target: "latchkey::events", event = "second-factor-lost", %user, key = kid.as_byte(),
        "the key of this second factor was retired"
    );
    None
}
