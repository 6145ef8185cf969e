//! The only way to a comparison of a secret. It counts each try, for the address and for the account or code, before
//! anything is compared.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::address_subject;
use crate::{
    app::App,
    error::ApiError,
    http::context::Context,
    store::{Attempt, Bucket, Limit, LimitReached, Receipt, StoreError},
};

/// Counts a try for the caller's address and, by `attempt`, for the account or code. Returns what to compare the try
/// with, or none if there is nothing to try.
///
/// A try from an address over its limit is not compared, so its count is taken back: it uses up none of the account's
/// tries. An address is counted for tries that are compared, so that nobody uses up its limit, which neighbors may share,
/// by what compares nothing.
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
            (Ok(()), Attempt::Nothing) => {
                take_back_from_address(app, ctx).await;
                Ok(None)
            }
            (Ok(()), Attempt::LimitReached(reached)) => {
                take_back_from_address(app, ctx).await;
                Err(reached.into())
            }
            (Err(reached), Attempt::Admitted { receipt, .. }) => {
                app.store.take_back(receipt).await?;
                Err(reached.into())
            }
            (Err(reached), Attempt::Nothing | Attempt::LimitReached(_)) => Err(reached.into()),
        }
    })
}

/// Returns the keys that a counted try is needs, or takes the try back and returns the error: the try was
/// not judged.
pub async fn or_take_back<T>(
    app: &App,
    receipt: &Receipt,
    keys: Result<T, impl Into<ApiError>>,
) -> Result<T, ApiError> {
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
        if found.is_none() {
            take_back_from_address(app, ctx).await;
        }
        Ok(found)
    })
}

/// Does what [`admit`] does for a try of something that does not exist, where nothing may tell so: the same calls, and the same
/// count for the caller's address.
pub fn admit_nobody<'a, T: Send + 'a>(
    app: &'a App,
    ctx: &'a Context,
    attempt: impl Future<Output = Result<T, StoreError>> + Send + 'a,
) -> BoxFuture<'a, Result<(), ApiError>> {
    Box::pin(async move {
        let attempt = async { attempt.await.map_err(ApiError::from) };
        let (charged, _) = tokio::try_join!(charge_address(app, ctx), attempt)?;
        Ok(charged?)
    })
}

/// Does what a right try leads to, and meanwhile takes the count of that try back from the caller's address: many users
/// who sign in from one address must not stop each other. The count stays if that fails.
pub async fn with_right_try<T>(app: &App, ctx: &Context, what: impl Future<Output = T>) -> T {
    let (done, ()) = tokio::join!(what, take_back_from_address(app, ctx));
    done
}

/// Counts a try of a password or a code from the caller's address.
async fn charge_address(app: &App, ctx: &Context) -> Result<Result<(), LimitReached>, ApiError> {
    let secret = app.keyring.secret(ctx.now).await?;
    Ok(app.store.charge(tries(app, &address_subject(&secret, ctx)), ctx.now).await?)
}

async fn take_back_from_address(app: &App, ctx: &Context) {
    let taken_back = Box::pin(async {
        let secret = app.keyring.secret(ctx.now).await?;
        app.store.give_back_all(&[tries(app, &address_subject(&secret, ctx))], ctx.now).await?;
        Ok::<_, ApiError>(())
    });
    if let Err(error) = taken_back.await {
        tracing::warn!(%error, "a try that was not wrong stays counted for its address");
    }
}

/// The limit of tries from one address.
fn tries<'a>(app: &App, address: &'a str) -> Limit<'a> {
    Limit::new(Bucket::LoginAddress, address, app.config.limits.login_per_address, Duration::from_mins(5))
}
