//! Waiting for the outcome of a request that is under way (docs/adr/0029-a-lost-confirmation.md).

use std::time::Duration;

use crate::{base::random, error::ApiError};

/// How often the outcome of a request is asked for that has the same right code and arrived a moment earlier: for four
/// seconds, which is more than that one waits for the notice of a used recovery code.
pub(super) const ASKED: u32 = 40;

/// Waits for a moment before the outcome is asked for again.
pub(super) async fn pause() -> Result<(), ApiError> {
    let millis = 50 + random::below(100)?;
    #[expect(clippy::disallowed_methods, reason = "waiting for a request that is under way is a real wait")]
    tokio::time::sleep(Duration::from_millis(millis.into())).await;
    Ok(())
}
