//! The throttle of guesses at a password or a second factor. The item that a guess is about holds the count, and the
//! conditional update that reads the value to compare the guess with also counts the guess.

use std::{sync::LazyLock, time::Duration};

use super::table::{
    error::StoreError,
    expression::ItemUpdate,
    item::{Item, moment, number},
    keys::Key,
    wire::Receipt,
};
use crate::base::time::Timestamp;

/// The number of attempts after which each costs a wait (docs/threats.md#l2).
const FREE_FAILURES: u64 = 5;
/// The longest wait between two attempts (docs/threats.md#l2).
const LONGEST_DELAY: Duration = Duration::from_mins(15);

/// The time after which a count of passwords that has reached its end lets one more be compared, so that no stop lasts
/// for good.
const LONGEST_STOP: Duration = Duration::from_hours(24);

/// Returns the wait after this many attempts: 0 s after up to five, then 2, 4, 8, … s.
fn delay_after(failures: u64) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None | Some(0) => Duration::ZERO,
        Some(doublings) => Duration::from_secs(1 << doublings.min(10)).min(LONGEST_DELAY),
    }
}

/// The smallest attempt count that costs the longest wait.
const LONGEST_FROM: u64 = FREE_FAILURES + 10;

/// A count of attempts in an item, by the attributes that hold it.
pub(super) struct Counter {
    /// The attribute with the number of attempts since the last success.
    pub(super) failures: &'static str,
    /// The attribute with the time of the last of them.
    pub(super) attempted_at: &'static str,
    /// The number of failures in a row after which no attempt is compared.
    max_failures: u64,
    /// The time after which one more is compared then; none if none ever is.
    stop: Option<Duration>,
    count: &'static str,
    stamp: &'static str,
    forget: [&'static str; 2],
    give_back: &'static [&'static str],
    unless_reset: &'static str,
    /// The condition that admits an attempt when the wait after the attempts before it is over. It has one clause per
    /// count, because DynamoDB cannot compute a power. So one call admits and counts, however many run at once.
    admitted: LazyLock<String>,
}

macro_rules! counter {
    ($failures:literal, $attempted_at:literal, $max_failures:literal, $stop:expr) => {{
        const STOP: Option<Duration> = $stop;
        Counter {
            failures: $failures,
            attempted_at: $attempted_at,
            max_failures: $max_failures,
            stop: STOP,
            count: concat!("#", $failures, " = if_not_exists(#", $failures, ", :zero) + :one"),
            stamp: concat!("#", $attempted_at, " = :now"),
            forget: [concat!("#", $failures), concat!("#", $attempted_at)],
            give_back: &[concat!("#", $failures, " = #", $failures, " - :one")],
            unless_reset: concat!("#", $failures, " >= :one"),
            admitted: LazyLock::new(|| admitted(concat!("#", $failures), concat!("#", $attempted_at), STOP.is_some())),
        }
    }};
}

/// Passwords of a phone, or in a session. After a hundred failures in a row (NIST SP 800-63B section 3.2.2), one more is
/// compared a day.
pub(super) static PASSWORDS: Counter = counter!("login_failures", "login_attempted_at", 100, Some(LONGEST_STOP));

// The counts of an authenticator's codes, one for each step of a user's path that asks for them, so that none waits for
// wrong codes at another. Together they compare at most a hundred wrong codes in a row (NIST SP 800-63B section 3.2.2,
// docs/adr/0028). After that only a recovery code helps.

/// TOTP codes in the second step of a login.
pub(super) static TOTP_AT_LOGIN: Counter = counter!("totp_login_failures", "totp_login_attempted_at", 50, None);
/// TOTP codes in a session.
pub(super) static TOTP_IN_SESSION: Counter = counter!("totp_session_failures", "totp_session_attempted_at", 25, None);
/// TOTP codes in a reset.
pub(super) static TOTP_AT_RESET: Counter = counter!("totp_reset_failures", "totp_reset_attempted_at", 25, None);

/// Every count of an authenticator's codes.
pub(super) static TOTP_COUNTERS: [&Counter; 3] = [&TOTP_AT_LOGIN, &TOTP_IN_SESSION, &TOTP_AT_RESET];

fn admitted(failures: &str, attempted_at: &str, ends: bool) -> String {
    let mut clauses = vec![format!("attribute_not_exists({failures})"), format!("{failures} <= :free")];
    for count in FREE_FAILURES + 1..LONGEST_FROM {
        clauses.push(format!("({failures} = :n{count} AND {attempted_at} <= :t{count})"));
    }
    let longest = format!("{failures} >= :n{LONGEST_FROM} AND {attempted_at} <= :t{LONGEST_FROM}");
    clauses.push(format!("({failures} < :max AND {longest})"));
    if ends {
        clauses.push(format!("{attempted_at} <= :stopped_at"));
    }
    clauses.join(" OR ")
}

impl Counter {
    /// Builds the update that counts an attempt in this item, if the wait is over.
    pub(super) fn spend(&self, key: Key, now: Timestamp) -> ItemUpdate {
        let update = ItemUpdate::new(key)
            .set(self.count)
            .set(self.stamp)
            .when(self.admitted.as_str())
            .value(":max", number(self.max_failures))
            .value(":zero", number(0))
            .value(":one", number(1))
            .value(":free", number(FREE_FAILURES))
            .value(":now", moment(now));
        let update = match self.stop {
            Some(stop) => update.value(":stopped_at", moment(now.minus(stop))),
            None => update,
        };
        (FREE_FAILURES + 1..=LONGEST_FROM).fold(update, |update, failures| {
            update
                .value(&format!(":n{failures}"), number(failures))
                .value(&format!(":t{failures}"), moment(now.minus(delay_after(failures))))
        })
    }

    /// Adds to an update that it forgets the attempts.
    pub(super) fn forget(&self, update: ItemUpdate) -> ItemUpdate {
        self.forget.into_iter().fold(update, ItemUpdate::remove)
    }

    /// Returns the receipt for an attempt that is not compared after all.
    pub(super) fn receipt(&self, key: Key, applied: &Item) -> Result<Receipt, StoreError> {
        Receipt::of(key, applied, self.give_back, self.unless_reset)
    }

    /// Returns the time until the next attempt can be admitted, after a refused one. If no more attempts are ever
    /// compared, returns the longest wait every time.
    pub(super) fn retry_after(&self, item: &Item, now: Timestamp) -> Result<Duration, StoreError> {
        let failures = item.count(self.failures)?;
        let delay = match self.stop {
            _ if failures < self.max_failures => delay_after(failures),
            Some(stop) => stop,
            None => return Ok(LONGEST_DELAY),
        };
        let over = item.moment(self.attempted_at)?.plus(delay);
        Ok(over.since(now).max(Duration::from_secs(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_two_seconds_to_fifteen_minutes() {
        let seconds = |failures| delay_after(failures).as_secs();
        assert_eq!((0..=8).map(seconds).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 0, 2, 4, 8]);
        assert_eq!([13, 14, 15, 16, 99].map(seconds), [256, 512, 900, 900, 900]);
    }

    #[test]
    fn every_count_has_its_clause() {
        assert_eq!(delay_after(LONGEST_FROM), LONGEST_DELAY);
        assert!(delay_after(LONGEST_FROM - 1) < LONGEST_DELAY);
        for counter in TOTP_COUNTERS.into_iter().chain([&PASSWORDS]) {
            assert_eq!(counter.admitted.matches(&format!("#{} = ", counter.failures)).count(), 9);
            assert_eq!(counter.admitted.matches(":max").count(), 1);
        }
    }

    #[test]
    fn of_one_authenticator_a_hundred_wrong_codes_are_compared_in_all() {
        assert_eq!(TOTP_COUNTERS.map(|counter| counter.max_failures).iter().sum::<u64>(), 100);
    }
}
