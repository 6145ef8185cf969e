//! The throttle of guesses at a password or a second factor. The item that a guess is about holds the count, and the
//! conditional update that reads the value to compare the guess with also counts the guess.

use std::{sync::LazyLock, time::Duration};

use super::table::{
    error::StoreError,
    expression::ItemUpdate,
    item::{Item, moment, number},
    keys::{Key, LOGIN_ATTEMPTED_AT, LOGIN_FAILURES},
    wire::Receipt,
};
use crate::base::time::Timestamp;

/// The number of attempts after which each costs a wait (docs/threats.md#l2).
const FREE_FAILURES: u64 = 5;
/// The longest wait between two attempts (docs/threats.md#l2).
const LONGEST_DELAY: Duration = Duration::from_mins(15);
/// The number of failures in a row after which no attempt is compared (NIST SP 800-63B section 3.2.2). Then only a
/// reset helps.
const MAX_FAILURES: u64 = 100;
/// Returns the wait after this many attempts: 0 s after up to five, then 2, 4, 8, … s.
fn delay_after(failures: u64) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None | Some(0) => Duration::ZERO,
        Some(doublings) => Duration::from_secs(1 << doublings.min(10)).min(LONGEST_DELAY),
    }
}

/// The smallest attempt count that costs the longest wait.
const LONGEST_FROM: u64 = FREE_FAILURES + 10;

/// The rule for whether attempts come to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// No attempt is compared after [`MAX_FAILURES`] failures in a row.
    Hard,
    /// Each attempt costs a wait and nothing more. This is for secrets that nobody can guess.
    Never,
}

/// The conditions, one per [`Stop`], that admit an attempt when the wait after the attempts before it is over. Each has
/// one clause per count, because DynamoDB cannot compute a power. So one call admits and counts, however many run at
/// once.
static ADMITTED: LazyLock<[String; 2]> = LazyLock::new(|| {
    ["#login_failures < :max AND ", ""].map(|stop| {
        let mut clauses =
            vec!["attribute_not_exists(#login_failures)".to_owned(), "#login_failures <= :free".to_owned()];
        for failures in FREE_FAILURES + 1..LONGEST_FROM {
            clauses.push(format!("(#login_failures = :n{failures} AND #login_attempted_at <= :t{failures})"));
        }
        let longest = format!("#login_failures >= :n{LONGEST_FROM} AND #login_attempted_at <= :t{LONGEST_FROM}");
        clauses.push(format!("({stop}{longest})"));
        clauses.join(" OR ")
    })
});

/// Builds the update that counts an attempt in this item, if the wait is over.
pub(super) fn spend(key: Key, stop: Stop, now: Timestamp) -> ItemUpdate {
    let [hard, never] = &*ADMITTED;
    let update = ItemUpdate::new(key)
        .set("#login_failures = if_not_exists(#login_failures, :zero) + :one")
        .set("#login_attempted_at = :now")
        .value(":zero", number(0))
        .value(":one", number(1))
        .value(":free", number(FREE_FAILURES))
        .value(":now", moment(now));
    let update = match stop {
        Stop::Hard => update.when(hard.as_str()).value(":max", number(MAX_FAILURES)),
        Stop::Never => update.when(never.as_str()),
    };
    (FREE_FAILURES + 1..=LONGEST_FROM).fold(update, |update, failures| {
        update
            .value(&format!(":n{failures}"), number(failures))
            .value(&format!(":t{failures}"), moment(now.minus(delay_after(failures))))
    })
}

/// Returns the receipt for an attempt that is not compared after all.
pub(super) fn receipt(key: Key, applied: &Item) -> Result<Receipt, StoreError> {
    let give_back = &["#login_failures = #login_failures - :one"];
    Receipt::of(key, applied, give_back, "#login_failures >= :one")
}

/// Returns the time until the next attempt can be admitted, after a refused one. If no more attempts are compared,
/// returns the longest wait every time.
pub(super) fn retry_after(item: &Item, stop: Stop, now: Timestamp) -> Result<Duration, StoreError> {
    let failures = item.count(LOGIN_FAILURES)?;
    if stop == Stop::Hard && failures >= MAX_FAILURES {
        return Ok(LONGEST_DELAY);
    }
    let over = item.moment(LOGIN_ATTEMPTED_AT)?.plus(delay_after(failures));
    Ok(over.since(now).max(Duration::from_secs(1)))
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
        for condition in &*ADMITTED {
            assert_eq!(condition.matches("#login_failures = ").count(), 9);
        }
        assert_eq!(ADMITTED.each_ref().map(|condition| condition.contains(":max")), [true, false]);
    }
}
