//! Proofs that callers show before they are sent a message, while a pot that strangers share is about half used
//! (docs/adr/0055-proofs-before-messages.md).

use super::budgets::{MessageSubjects, Pot};
use crate::{
    app::App,
    base::random,
    domain::{otp::Purpose, phone::Phone},
    error::ApiError,
    http::context::Context,
    store::CodeTarget,
    tokens::{
        attestation,
        puzzle::{Puzzle, Solution},
    },
};

/// The hundredths of a budget up to which nobody is asked for a proof.
const ASKED_NEVER: u32 = 45;

/// The hundredths from which everybody is.
const ASKED_ALWAYS: u32 = 55;

/// Requires a proof for a code to this phone that somebody asks for outside of a known device. Does nothing, and asks nothing
/// of the table, unless proofs are switched on.
///
/// It depends on the country and on what all strangers have used up, and not on the phone's account, so it tells nothing of
/// that.
pub async fn require_unless_known(
    app: &App,
    ctx: &Context,
    (purpose, phone): (Purpose, &Phone),
    target: &CodeTarget,
) -> Result<(), ApiError> {
    match Pot::of(purpose, target) {
        Pot::KnownDevice(_) => Ok(()),
        Pot::Verified | Pot::New { .. } => require(app, ctx, purpose, phone).await,
    }
}

/// The same for every caller.
pub async fn require(app: &App, ctx: &Context, purpose: Purpose, phone: &Phone) -> Result<(), ApiError> {
    let settings = &app.config.proofs;
    if !settings.is_on() || app.test_code(phone).is_some() || is_shown(app, ctx, phone).await? {
        return Ok(());
    }
    let secret = app.keyring.secret(ctx.now).await?;
    let subjects = MessageSubjects::new(&secret, phone, ctx, purpose, None);
    // Which counters there are does not depend on what the country may use.
    let shared = app.shared_budgets(&subjects, 0);
    let (counters, verified) = tokio::try_join!(
        app.store.counters(&shared, ctx.now),
        app.store.verified_in_country(phone.country_code(), ctx.now)
    )?;
    let used = counters.percent_used(&app.shared_budgets(&subjects, verified))?;
    // No step tells of a single message: the chance to be asked grows from none to all.
    if u64::from(random::below(ASKED_ALWAYS - ASKED_NEVER)?) + u64::from(ASKED_NEVER) >= used {
        return Ok(());
    }
    let bits = settings.work_bits;
    let puzzle = bits.map(|bits| (Puzzle::new(&secret.writing.otp, phone, bits, ctx.now), bits));
    Err(ApiError::ProofRequired { puzzle, takes_attestation: settings.attestation_key.is_some() })
}

/// Returns whether the request has a proof for this phone. A wrong one counts as none.
async fn is_shown(app: &App, ctx: &Context, phone: &Phone) -> Result<bool, ApiError> {
    let settings = &app.config.proofs;
    let audience = app.config.tokens.audience.as_str();
    if let (Some(text), Some(key)) = (&ctx.proofs.attestation, &settings.attestation_key)
        && attestation::verify(text, key, (audience, phone), ctx.now).is_ok()
    {
        return Ok(true);
    }
    let (Some(text), Some(bits)) = (&ctx.proofs.work, settings.work_bits) else { return Ok(false) };
    let Some(solution) = Solution::read(text) else { return Ok(false) };
    let keys = app.keyring.known(solution.kid(), ctx.now).await?;
    Ok(keys.is_some_and(|keys| solution.solves(&keys.otp, phone, bits, ctx.now)))
}
