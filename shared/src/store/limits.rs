//! Counters of how often something was done in a fixed window. The window is in the key, so nothing ever has to be reset
//! and no race can roll a window over.

use std::time::Duration;

use super::{
    Store,
    expression::ItemUpdate,
    item::{number, ttl},
    keys::{Key, USES},
    wire::{Outcome, StoreError},
};
use crate::{error::Bucket, time::Timestamp};

/// How long a counter outlives its window before it is collected.
const KEPT: Duration = Duration::from_hours(1);

/// So many uses per window.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    /// What is counted.
    pub bucket: Bucket,
    /// Whose uses are counted.
    pub subject: &'a str,
    /// How many are allowed.
    pub allowed: u64,
    /// In which time.
    pub window: Duration,
}

/// A limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached {
    /// Which.
    pub bucket: Bucket,
    /// When its window ends.
    pub retry_after: Duration,
}

impl Limit<'_> {
    fn key(&self, now: Timestamp) -> Key {
        Key::limit(self.bucket.as_str(), self.subject, now.window_start(self.window).unix_seconds())
    }

    /// The one conditional `ADD` that is strict however many run at once.
    pub(super) fn charge(&self, now: Timestamp) -> ItemUpdate {
        let start = now.window_start(self.window);
        ItemUpdate::new(self.key(now))
            .add("#uses :one")
            .set("#expires_at = :expires_at")
            .when("attribute_not_exists(#uses) OR #uses < :allowed")
            .value(":one", number(1))
            .value(":allowed", number(self.allowed))
            .value(":expires_at", ttl(start.plus(self.window).plus(KEPT)))
    }

    pub(super) fn reached(&self, now: Timestamp) -> LimitReached {
        let end = now.window_start(self.window).plus(self.window);
        LimitReached { bucket: self.bucket, retry_after: end.since(now) }
    }
}

impl Store {
    /// How many uses were counted in the window that is.
    pub async fn uses(&self, limit: Limit<'_>, now: Timestamp) -> Result<u64, StoreError> {
        let counter = self.read(limit.key(now)).await?;
        counter.map_or(Ok(0), |counter| counter.count(USES))
    }

    /// Counts one use, or says that no more is allowed.
    pub async fn charge(&self, limit: Limit<'_>, now: Timestamp) -> Result<Result<(), LimitReached>, StoreError> {
        Ok(match self.update(limit.charge(now)).await? {
            Outcome::Applied(_) => Ok(()),
            Outcome::Refused(_) => Err(limit.reached(now)),
        })
    }
}
