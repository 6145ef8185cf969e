//! Signing in by a code: challenges, and what their codes open (docs/adr/0041-sign-in-by-code.md).

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    admission,
    codes::{self, Compared, Item},
    proof, recycled,
    registration::{PendingRegistration, Waiting},
    repeats, sending,
    token_pair::{self, TokenKeys, TokenResponse},
};
use crate::{
    app::App,
    base::id::UserId,
    domain::{otp::OtpCode, proof::SignInMethod},
    error::ApiError,
    http::{Request, context::Context, members::SealedDeviceToken},
    log::audit,
    store::{CodeAccount, CodeTarget, CodeUse, UsedCode},
};

/// A sign-in that waits for the code that was sent to the phone.
#[derive(Serialize, ToSchema)]
pub struct ChallengeResponse {
    /// The challenge, for `POST /auth/code/verify` and `POST /auth/code/resend`, valid for a quarter of an hour. The code
    /// works with it alone, so keep it as safe as a token.
    #[schema(example = "AgEeCcwHcfsWzCKOjAFM1ycqbUal95XJWhGfmI8KTi2oAQ9uQ6coaYr3BHaMwLxAy7nnEukmfkfNGcFel84bANFA")]
    challenge: String,
    /// The number of seconds until the code expires.
    #[schema(example = 300)]
    expires_in: u64,
    /// The number of seconds until another code may be requested; 0 for a test number.
    #[schema(example = 1)]
    resend_in: u64,
    /// The code, only with `OTP_EXPOSE`, for development. It opens nothing if no account may be created for the phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "042424")]
    otp: Option<String>,
}

impl App {
    /// Refuses a way of signing in that `SIGN_IN_METHODS` does not name.
    pub fn require_method(&self, method: SignInMethod) -> Result<(), ApiError> {
        let is_on = self.config.sign_in_methods.contains(&method);
        is_on.then_some(()).ok_or(ApiError::SignInMethodOff(method))
    }
}

/// Reads a challenge that we sealed; none if the text is no such.
pub async fn challenge(app: &App, ctx: &Context, text: &str) -> Result<Option<PendingRegistration>, ApiError> {
    PendingRegistration::of_id(app, ctx, Waiting::SignIn, text).await
}

/// Issues a code for a challenge, and sends it: to the phone of an account, and to one that gets an account by it. To any
/// other phone the response is the same, after the same calls and the same time, and no code opens anything. Returns none
/// if the challenge is over. `device_token` is that of the device that asks, if it sent one.
pub async fn send_code(
    app: &App,
    ctx: &Context,
    challenge: &PendingRegistration,
    item: Item,
    device_token: Option<&SealedDeviceToken>,
) -> Result<Option<ChallengeResponse>, ApiError> {
    let (phone, purpose) = (&challenge.phone, challenge.purpose());
    let device = token_pair::known_device(app, ctx, device_token).await?;
    let target = app.store.code_target_on(device, phone, purpose, ctx.now).await?;
    proof::require_unless_known(app, ctx, (purpose, phone), &target).await?;
    let account = account(app, &target)?;
    let issued =
        codes::issue_in(app, ctx, item, (purpose, phone), target.for_account(account), sending::floor(app)).await?;
    let Some(issued) = issued else { return Ok(None) };
    let secret = app.keyring.secret(ctx.now).await?;
    Ok(Some(ChallengeResponse {
        challenge: challenge.seal(&secret.writing.activation)?,
        expires_in: app.config.otp.ttl.as_secs(),
        resend_in: issued.cooldown.as_secs(),
        otp: issued.exposed,
    }))
}

/// Returns the account that a code signs in to: that of the phone unless it is disabled, or a new one. While the phone has
/// none, every code of a challenge is for the same new one.
fn account(app: &App, target: &CodeTarget) -> Result<Option<CodeAccount>, ApiError> {
    if target.has_account || !app.config.sign_up_is_open {
        return Ok(target.account);
    }
    let bound = target.bound_account().filter(|account| account.is_to_be_created());
    Ok(Some(match bound {
        Some(account) => account,
        None => CodeAccount::to_be_created(UserId::generate()?),
    }))
}

/// Signs in by the code of a challenge: uses it up and starts a session, or stores the sign-in until its second step if a
/// second factor is on, or if the phone may have another owner by now.
pub async fn sign_in(
    app: &App,
    ctx: &Context,
    request: &Request,
    challenge: &PendingRegistration,
    otp: &OtpCode,
) -> Result<TokenResponse, ApiError> {
    let (phone, purpose) = (&challenge.phone, challenge.purpose());
    let keys = TokenKeys::of(app, ctx).await?;
    let compared = codes::compare(app, ctx, purpose, phone, otp);
    let (keys, code) = tokio::join!(keys.current(app, ctx), compared);
    let (code, keys) = (code?, keys?);
    let code = match code {
        Compared::Right(code) => code,
        Compared::Repeated(used) => return repeated(app, ctx, request, &keys, &used).await,
    };
    // A code that is bound to nobody was never sent: the caller guessed it.
    let account = code.account.ok_or(ApiError::InvalidOtp)?;
    if account.is_to_be_created() {
        if !app.config.sign_up_is_open {
            return Err(ApiError::InvalidOtp);
        }
        // No account is made in a country that has been closed since.
        let not_served = |why| ApiError::invalid_field("/challenge", &format!("its phone {why}"));
        app.check_recipient(phone).map_err(not_served)?;
    }
    let asks_for_identity = recycled::asks_for_identity(app, ctx, request, account).await?;
    if account.mfa_enabled || asks_for_identity {
        let bound = (account, &code, asks_for_identity);
        return Err(recycled::begin_second_step(app, ctx, &keys, (phone, purpose), bound).await?);
    }
    let how = (SignInMethod::Code, false);
    let (session, tokens) = token_pair::new_session(app, ctx, &keys, account.user, account.session_epoch(), how)?;
    let id = session.id;
    let pseudonym = audit::pseudonym(&keys.secret.counting.audit, phone);
    let effect = codes::effect(app, ctx, account.user, account.session_epoch(), None).await?;
    let bound = (account, &code, &effect);
    let opened = app.store.sign_in_by_code((phone, purpose), bound, session, &pseudonym, ctx.now);
    match admission::with_right_try(app, ctx, opened).await? {
        CodeUse::Done => {}
        CodeUse::Repeated(used) => return repeated(app, ctx, request, &keys, &used).await,
        // Another code was used, or the account has changed, moved or gone since it was sent.
        CodeUse::Overtaken => return Err(ApiError::InvalidOtp),
    }
    codes::count_verified(app, ctx, phone);
    ctx.audit.session(account.user, id);
    Ok(tokens)
}

/// Answers a request that repeats the one that used the code, because its response was lost: by the tokens of the same
/// session if they were not used, or by the same second step.
async fn repeated(
    app: &App,
    ctx: &Context,
    request: &Request,
    keys: &TokenKeys,
    used: &UsedCode,
) -> Result<TokenResponse, ApiError> {
    if let Some((account, _)) = used.second_step {
        let asks_for_identity = recycled::asks_for_identity(app, ctx, request, account).await?;
        return Err(recycled::repeated_second_step(app, ctx, keys, used, asks_for_identity)?);
    }
    repeats::tokens_of_code(app, ctx, Some(keys), used).await?.ok_or(ApiError::InvalidOtp)
}
