//! The throttle of guesses at something that somebody knows or has: counted in the item that it is about, by the same
//! conditional update that reads what the guess is compared with.

use std::{sync::LazyLock, time::Duration};

use super::table::{
    error::StoreError,
    expression::ItemUpdate,
    item::{Item, moment, number},
    keys::{Key, LOGIN_ATTEMPTED_AT, LOGIN_FAILURES},
    wire::Receipt,
};
use crate::base::time::Timestamp;

/// How many attempts are free before each costs a wait (docs/threats.md#l2).
const FREE_FAILURES: u64 = 5;
/// The longest wait between two attempts (docs/threats.md#l2).
const LONGEST_DELAY: Duration = Duration::from_mins(15);
/// How many failures in a row are ever judged (NIST SP 800-63B section 3.2.2); then only a reset helps.
const MAX_FAILURES: u64 = 100;
/// The wait after this many attempts: none for the first five and the one after, then 2, 4, 8, … s.
fn delay_after(failures: u64) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None | Some(0) => Duration::ZERO,
        Some(doublings) => Duration::from_secs(1 << doublings.min(10)).min(LONGEST_DELAY),
    }
}

/// The attempt count from which on the wait is the longest one.
const LONGEST_FROM: u64 = FREE_FAILURES + 10;

/// Whether there is an end to the attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// After [`MAX_FAILURES`] in a row no more is judged.
    Hard,
    /// Each costs a wait, and nothing more: of what nobody can guess.
    Never,
}

/// Admits an attempt when the wait that its predecessors cost is over. One clause per count, since DynamoDB cannot
/// compute a power; so one call admits and counts, however many run at once.
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

/// Counts an attempt in this item, if the waits allow it.
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

/// For an attempt that is not judged after all.
pub(super) fn receipt(key: Key, applied: &Item) -> Result<Receipt, StoreError> {
    let give_back = &["#login_failures = #login_failures - :one"];
    Receipt::of(key, applied, give_back, "#login_failures >= :one")
}

/// When the next attempt can be admitted, after one that was refused. Where no more is judged, there is no such time: the
/// longest wait, however often it is asked.
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
