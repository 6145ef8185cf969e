//! Phones that may have another owner, since carriers hand numbers out again (docs/adr/0050-recycled-numbers.md). A code
//! proves who has a phone, and after a long time not that it is still the account's owner.

use super::{admission, caller::Caller, codes, second_step, token_pair::TokenKeys};
use crate::{
    app::App,
    base::{
        id::{TokenId, UserId},
        time::Timestamp,
    },
    domain::{otp::Purpose, phone::Phone, proof::SignInMethod},
    error::ApiError,
    http::{Request, context::Context, problem::MFA_METHODS},
    log::audit::{self, Audit},
    store::{CodeAccount, CodeUse, PendingCode, UsedCode},
    tokens::mfa::{self, MfaToken},
};

impl App {
    /// Returns whether who has a phone was last proved so long ago that it may be somebody else's by now. An account that
    /// was created before proofs were recorded counts from its next code on.
    pub fn is_proof_old(&self, proved_at: Option<Timestamp>, now: Timestamp) -> bool {
        self.config.phone_proof_max_age.zip(proved_at).is_some_and(|(age, at)| now.since(at) > age)
    }
}

/// Returns whether a right code is not enough to open an account: its phone was not proved for long, and the request comes
/// from a device that has no live session of the account.
pub async fn asks_for_identity(
    app: &App,
    ctx: &Context,
    request: &Request,
    account: CodeAccount,
) -> Result<bool, ApiError> {
    Ok(app.is_proof_old(account.phone_proved_at, ctx.now) && !has_session(app, ctx, request, account.user).await?)
}

/// Returns whether the request has an access token of a live session of this user. One that is not valid is no session,
/// and no error: the device may keep it from another time.
async fn has_session(app: &App, ctx: &Context, request: &Request, user: UserId) -> Result<bool, ApiError> {
    let Ok(token) = request.bearer_token() else { return Ok(false) };
    // The audit event is about the account that is signed in to, and not about the one of the token.
    let caller = Caller::of_token(app, token, app.issuer(ctx.url.as_deref())?, &Audit::default(), ctx.now).await;
    match caller {
        Ok(caller) => Ok(caller.profile.user == user),
        Err(ApiError::InvalidToken(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Uses up a right code and stores the sign-in that it has begun until its second step. Returns the problem that says what
/// that is: the second factor, or if the phone may have another owner, what still proves the old one, or a new account.
pub async fn begin_second_step(
    app: &App,
    ctx: &Context,
    keys: &TokenKeys,
    (phone, purpose): (&Phone, Purpose),
    (account, code, asks_for_identity): (CodeAccount, &PendingCode, bool),
) -> Result<ApiError, ApiError> {
    let id = TokenId::generate()?;
    let token = second_step::token(app, ctx, keys, account.user, id)?;
    let pseudonym = audit::pseudonym(&keys.secret.counting.audit, phone);
    let effect = codes::effect(app, ctx, account.user, account.epoch, None).await?;
    let until = ctx.now.plus(mfa::LIFETIME);
    let bound = (account, code, &effect);
    let begun = app.store.begin_second_step_by_code((phone, purpose), bound, (id, until), &pseudonym, ctx.now);
    match admission::with_right_try(app, ctx, begun).await? {
        CodeUse::Done => {}
        CodeUse::Repeated(used) => return repeated_second_step(app, ctx, keys, &used, asks_for_identity),
        // Another code was used, or the account has changed, moved or gone since it was sent.
        CodeUse::Overtaken => return Err(ApiError::InvalidOtp),
    }
    codes::count_verified(app, ctx, phone);
    ctx.audit.user(account.user);
    Ok(second_step_required(app, account, token, asks_for_identity))
}

/// Answers a request that repeats the one that began a second step, because its response was lost: by a token of the same
/// second step.
pub fn repeated_second_step(
    app: &App,
    ctx: &Context,
    keys: &TokenKeys,
    used: &UsedCode,
    asks_for_identity: bool,
) -> Result<ApiError, ApiError> {
    let (account, id) = used.second_step.ok_or(ApiError::InvalidOtp)?;
    ctx.audit.user(account.user);
    let token = second_step::token(app, ctx, keys, account.user, id)?;
    Ok(second_step_required(app, account, token, asks_for_identity))
}

fn second_step_required(app: &App, account: CodeAccount, token: MfaToken, asks_for_identity: bool) -> ApiError {
    if asks_for_identity || !account.mfa_enabled {
        ApiError::IdentityRequired(token, proofs(app, account))
    } else {
        ApiError::MfaRequired(Some(token))
    }
}

/// Returns what still proves who an account's owner is: the second factor if it has one, since that is asked for in any
/// case; or its password; or nothing, and then the owner needs an operator.
fn proofs(app: &App, account: CodeAccount) -> &'static [&'static str] {
    if account.mfa_enabled {
        &MFA_METHODS
    } else if account.has_password && app.config.sign_in_methods.contains(&SignInMethod::Password) {
        &["password"]
    } else {
        &[]
    }
}
