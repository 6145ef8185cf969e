//! The only way to a comparison of a secret. It counts each try, for the address and for the account or code, before
//! anything is compared.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::address_subject;
use crate::{
    app::App,
    error::ApiError,
    http::context::Context,
    keyring::KeyringError,
    store::{Attempt, Bucket, Limit, LimitReached, Receipt, StoreError},
};

/// Counts a try for the caller's address and, by `attempt`, for the account or code. Returns what to compare the try
/// with, or none if there is nothing to try.
///
/// A try from an address over its limit is not compared, so its count is taken back: it uses up none of the account's
/// tries.
pub fn admit<'a, T: Send + 'a>(
    app: &'a App,
    ctx: &'a Context,
    attempt: impl Future<Output = Result<Attempt<T>, StoreError>> + Send + 'a,
) -> BoxFuture<'a, Result<Option<T>, ApiError>> {
    Box::pin(async move { Ok(admit_with_receipt(app, ctx, attempt).await?.map(|(with, _)| with)) })
}

/// The same, with the receipt of the counted try, for a try that is taken back if it was right.
pub fn admit_with_receipt<'a, T: Send + 'a>(
    app: &'a App,
    ctx: &'a Context,
    attempt: impl Future<Output = Result<Attempt<T>, StoreError>> + Send + 'a,
) -> BoxFuture<'a, Result<Option<(T, Receipt)>, ApiError>> {
    Box::pin(async move {
        let attempt = async { attempt.await.map_err(ApiError::from) };
        match tokio::try_join!(charge_address(app, ctx), attempt)? {
            (Ok(()), Attempt::Admitted { with, receipt }) => Ok(Some((with, receipt))),
            (Ok(()), Attempt::Nothing) => Ok(None),
            (Err(reached), Attempt::Admitted { receipt, .. }) => {
                app.store.take_back(receipt).await?;
                Err(reached.into())
            }
            (Ok(()), Attempt::LimitReached(reached)) | (Err(reached), Attempt::Nothing | Attempt::LimitReached(_)) => {
                Err(reached.into())
            }
        }
    })
}

/// Returns the keys that a counted try is compared with, or takes the try back and returns the error: nothing was
/// compared.
pub async fn or_take_back<T>(app: &App, receipt: &Receipt, keys: Result<T, KeyringError>) -> Result<T, ApiError> {
    match keys {
        Ok(keys) => Ok(keys),
        Err(error) => {
            app.store.take_back(receipt.clone()).await?;
            Err(error.into())
        }
    }
}

/// Counts a try for the caller's address alone and returns what to compare it with. It is for secrets that nobody can
/// guess, so that no count of wrong ones delays their owner.
pub fn admit_unguessable<'a, T: Send + 'a>(
    app: &'a App,
    ctx: &'a Context,
    read: impl Future<Output = Result<Option<T>, StoreError>> + Send + 'a,
) -> BoxFuture<'a, Result<Option<T>, ApiError>> {
    Box::pin(async move {
        let read = async { read.await.map_err(ApiError::from) };
        let (charged, found) = tokio::try_join!(charge_address(app, ctx), read)?;
        charged?;
        Ok(found)
    })
}

/// Counts a try of a password or a code from the caller's address.
async fn charge_address(app: &App, ctx: &Context) -> Result<Result<(), LimitReached>, ApiError> {
    let secret = app.keyring.secret(ctx.now).await?;
    let limit = Limit {
        bucket: Bucket::LoginAddress,
        subject: &address_subject(&secret, ctx),
        allowed: app.config.limits.login_per_address,
        window: Duration::from_mins(5),
    };
    Ok(app.store.charge(limit, ctx.now).await?)
}
