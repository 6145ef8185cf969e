//! How many codes of a country were entered and right, by day. Who has customers in a country has many, and may send more
//! messages to phones there that were never verified (docs/adr/0038-three-pots-of-messages.md).

use std::time::Duration;

use super::{
    Store,
    table::{
        error::StoreError,
        expression::{ItemUpdate, Write},
        item::{Item, number, ttl},
        keys::{Key, USES},
    },
};
use crate::base::time::Timestamp;

/// The name of these counters in keys of the table. They are no limit.
const BUCKET: &str = "codes-verified";

const DAY: Duration = Duration::from_hours(24);

/// The number of days before today whose codes count.
const DAYS_BEFORE: u32 = 14;

fn key(country: &str, day: Timestamp) -> Key {
    Key::limit(BUCKET, country, day.window_start(DAY).unix_seconds())
}

/// Builds the part of a transaction that counts a code of this country, which the transaction uses up. So no code counts
/// twice, however many requests enter it at once.
pub(super) fn count(country: &str, now: Timestamp) -> Write {
    let update = ItemUpdate::new(key(country, now))
        .add("#uses :one")
        .set("#expires_at = :expires_at")
        .value(":one", number(1))
        .value(":expires_at", ttl(now.window_start(DAY).plus(DAY * (DAYS_BEFORE + 2))));
    Write::Update(update)
}

impl Store {
    /// Returns the number of codes of a country that were entered and right today or in the 14 days before.
    pub async fn verified_in_country(&self, country: &str, now: Timestamp) -> Result<u64, StoreError> {
        sum(&self.read_every(keys(country, now).collect()).await?)
    }
}

/// Returns the keys of the counters of today and of the days before.
pub(super) fn keys(country: &str, now: Timestamp) -> impl Iterator<Item = Key> {
    (0..=DAYS_BEFORE).map(move |days| key(country, now.minus(DAY * days)))
}

/// Adds up these counters, as they were read.
pub(super) fn sum(counters: &[Option<Item>]) -> Result<u64, StoreError> {
    counters.iter().flatten().map(|counter| counter.count(USES)).sum()
}
