//! The only way to a comparison of a secret. It counts each try, for the address and for the account or code, before
//! anything is compared.

use std::time::Duration;

use crate::{
    app::App,
    error::ApiError,
    http::context::Context,
    store::{Attempt, Bucket, Limit, LimitReached, StoreError},
};

/// Counts a try for the caller's address and, by `attempt`, for the account or code. Returns what to compare the try
/// with, or none if there is nothing to try.
///
/// A try from an address over its limit is not compared, so its count is taken back: it uses up none of the account's
/// tries.
pub async fn admit<T>(
    app: &App,
    ctx: &Context,
    attempt: impl Future<Output = Result<Attempt<T>, StoreError>>,
) -> Result<Option<T>, ApiError> {
    match tokio::try_join!(charge_address(app, ctx), attempt)? {
        (Ok(()), Attempt::Admitted { with, .. }) => Ok(Some(with)),
        (Ok(()), Attempt::Nothing) => Ok(None),
        (Ok(()), Attempt::LimitReached(reached)) => Err(reached.into()),
        (Err(reached), Attempt::Admitted { receipt, .. }) => {
            app.store.take_back(receipt).await?;
            Err(reached.into())
        }
        (Err(reached), Attempt::Nothing | Attempt::LimitReached(_)) => Err(reached.into()),
    }
}

/// Counts a try for the caller's address alone and returns what to compare it with. It is for secrets that nobody can
/// guess, so that no count of wrong ones delays their owner.
pub async fn admit_unguessable<T>(
    app: &App,
    ctx: &Context,
    read: impl Future<Output = Result<Option<T>, StoreError>>,
) -> Result<Option<T>, ApiError> {
    let (charged, found) = tokio::try_join!(charge_address(app, ctx), read)?;
    charged?;
    Ok(found)
}

/// Counts a try of a password or a code from the caller's address.
async fn charge_address(app: &App, ctx: &Context) -> Result<Result<(), LimitReached>, StoreError> {
    let limit = Limit {
        bucket: Bucket::LoginAddress,
        subject: &ctx.source.subject(),
        allowed: app.config.limits.login_per_address,
        window: Duration::from_mins(5),
    };
    app.store.charge(limit, ctx.now).await
}
