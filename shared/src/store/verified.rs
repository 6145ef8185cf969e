//! How many codes of a country were entered and right, by day. Who has customers in a country has many, and may send more
//! messages to phones there that were never verified (docs/adr/0038-three-pots-of-messages.md).

use std::time::Duration;

use super::{
    Store,
    table::{
        error::StoreError,
        expression::{ItemUpdate, Write},
        item::{Item, number, ttl},
        keys::{DAYS, Key},
    },
};
use crate::base::time::Timestamp;

/// The name of these counters in keys of the table. They are no limit.
const BUCKET: &str = "codes-verified";

const DAY: Duration = Duration::from_hours(24);

/// The days whose codes count: today and the 14 before. One item has an attribute for each of as many days, so they are in
/// two items at most.
const PERIOD: Duration = Duration::from_hours(24 * DAYS.len() as u64);

/// Returns the key of the counters of the period that this moment is in.
fn key(country: &str, at: Timestamp) -> Key {
    Key::limit(BUCKET, country, at.window_start(PERIOD).unix_seconds())
}

/// Returns the place of the day in its period.
fn day(now: Timestamp) -> usize {
    let days = now.since(now.window_start(PERIOD)).as_secs() / DAY.as_secs();
    usize::try_from(days).unwrap_or_default() % DAYS.len()
}

/// Builds the part of a transaction that counts a code of this country, which the transaction uses up. So no code counts
/// twice, however many requests enter it at once.
pub(super) fn count(country: &str, now: Timestamp) -> Write {
    let [first, ..] = DAYS;
    let update = ItemUpdate::new(key(country, now))
        .add(format!("#{} :one", DAYS.get(day(now)).unwrap_or(&first)))
        .set("#expires_at = :expires_at")
        .value(":one", number(1))
        .value(":expires_at", ttl(now.window_start(PERIOD).plus(PERIOD * 2 + DAY)));
    Write::Update(update)
}

impl Store {
    /// Returns the number of codes of a country that were entered and right today or in the 14 days before.
    pub async fn verified_in_country(&self, country: &str, now: Timestamp) -> Result<u64, StoreError> {
        sum(&self.read_all(keys(country, now)).await?, now)
    }
}

/// Returns the keys of the counters of this period and of the one before.
pub(super) fn keys(country: &str, now: Timestamp) -> [Key; 2] {
    [key(country, now), key(country, now.minus(PERIOD))]
}

/// Adds up the days that count, in these counters as they were read.
pub(super) fn sum(counters: &[Option<Item>], now: Timestamp) -> Result<u64, StoreError> {
    let (before, since) = DAYS.split_at(day(now) + 1);
    let of_period = [before, since];
    let counted = counters.iter().zip(of_period).filter_map(|(item, days)| Some((item.as_ref()?, days)));
    counted.flat_map(|(item, days)| days.iter().map(|day| item.count(day))).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn item(days: &[(usize, u64)]) -> Item {
        let attributes = days.iter().map(|(day, codes)| (DAYS[*day].to_owned(), number(*codes)));
        Item::from(attributes.collect::<HashMap<_, _>>())
    }

    #[test]
    fn today_and_the_fourteen_days_before_count() {
        let start = Timestamp::from_unix_seconds(1_800_000_000).window_start(PERIOD);
        let (this, last) = (item(&[(0, 1), (3, 10), (14, 100)]), item(&[(0, 1_000), (3, 10_000), (4, 100_000)]));
        let at = |day: u32| sum(&[Some(this.clone()), Some(last.clone())], start.plus(DAY * day)).unwrap();
        // The fifteenth day before is that of the same place in the period before.
        assert_eq!(at(0), 1 + 10_000 + 100_000);
        assert_eq!(at(2), 1 + 10_000 + 100_000);
        assert_eq!(at(3), 11 + 100_000);
        assert_eq!(at(4), 11);
        assert_eq!(at(14), 111);
        assert_eq!(sum(&[None, Some(last)], start).unwrap(), 110_000);
        assert_eq!(sum(&[None, None], start).unwrap(), 0);
    }

    #[test]
    fn every_day_has_a_place_of_its_own_until_the_period_ends() {
        let start = Timestamp::from_unix_seconds(1_800_000_000).window_start(PERIOD);
        let places: Vec<_> = (0..16).map(|days| day(start.plus(DAY * days))).collect();
        assert_eq!(places, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0]);
        assert_eq!(day(start.plus(Duration::from_secs(86_399))), 0);
    }
}
