//! Copies of values that are read over the network: how old one may be.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;

use crate::base::time::Timestamp;

/// The least time between a failed read and the next one while there is a copy.
pub(super) const READ_AGAIN: Duration = Duration::from_secs(30);

/// A cached copy of a value that is read over the network.
#[derive(Debug)]
pub(super) struct Cached<T> {
    held: Mutex<Option<Held<T>>>,
    /// The time for which a copy may be used while the value cannot be read again.
    usable: Duration,
}

#[derive(Debug)]
struct Held<T> {
    value: Arc<T>,
    read_at: Timestamp,
    /// The time of the last read, if it failed.
    failed_at: Option<Timestamp>,
}

impl<T> Cached<T> {
    pub(super) fn usable_for(usable: Duration) -> Self {
        Self { held: Mutex::new(None), usable }
    }

    /// Returns the copy if there is one, whatever its age.
    pub(super) fn at_hand(&self) -> Option<Arc<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|held| held.value.clone())
    }

    /// Keeps a value that was read just now.
    pub(super) fn keep(&self, value: T, now: Timestamp) -> Arc<T> {
        let value = Arc::new(value);
        let held = Held { value: value.clone(), read_at: now, failed_at: None };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
        value
    }

    /// Returns the copy if it is younger than `fresh`. Otherwise reads the value, and returns an older copy if that
    /// fails.
    pub(super) async fn get<'a, E: Display>(
        &self,
        fresh: Duration,
        now: Timestamp,
        read: impl FnOnce() -> BoxFuture<'a, Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let stale = {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            match &*held {
                Some(held) if now.since(held.read_at) < fresh => return Ok(held.value.clone()),
                Some(held) if now.since(held.read_at) < self.usable => {
                    // A read waits long while the dependency is down; not every request may wait that long.
                    if held.failed_at.is_some_and(|failed_at| now.since(failed_at) < READ_AGAIN) {
                        return Ok(held.value.clone());
                    }
                    Some(held.value.clone())
                }
                _ => None,
            }
        };
        match (read().await, stale) {
            (Ok(value), _) => Ok(self.keep(value, now)),
            (Err(error), Some(stale)) => {
                tracing::warn!(%error, "keys cannot be read; the last ones are used");
                if let Some(held) = &mut *self.held.lock().unwrap_or_else(PoisonError::into_inner) {
                    held.failed_at = Some(now);
                }
                Ok(stale)
            }
            (Err(error), None) => Err(error),
        }
    }
}
