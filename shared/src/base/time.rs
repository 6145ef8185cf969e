//! Moments in time. Every function takes the time as an argument; only [`crate::runtime`] reads the wall clock.

use std::time::Duration;

use aws_smithy_types::{DateTime, date_time::Format};

/// A moment, in milliseconds since the Unix epoch.
///
/// It counts milliseconds, because cooldowns and throttles of one second must not depend on the fraction of a second at
/// which a request arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Returns the moment that is this many milliseconds after the Unix epoch.
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the moment that is this many seconds after the Unix epoch.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns the milliseconds since the Unix epoch.
    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    /// Returns the whole seconds since the Unix epoch, the unit of JWTs (RFC 7519 section 2, NumericDate) and of
    /// DynamoDB's TTL.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Returns the moment that is `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Returns the moment that is `duration` earlier, or the epoch if that is later.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Returns the time from `earlier` to this moment, or zero if this moment is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Returns the start of the fixed window of this length that contains the moment.
    #[must_use]
    pub fn window_start(self, length: Duration) -> Self {
        let length = millis(length).max(1);
        Self(self.0 - self.0 % length)
    }

    /// Formats the moment by RFC 3339, in UTC and whole seconds: `2026-11-22T20:16:46Z`.
    pub fn to_rfc3339(self) -> String {
        let seconds = i64::try_from(self.unix_seconds()).unwrap_or(i64::MAX);
        DateTime::from_secs(seconds).fmt(Format::DateTime).unwrap_or_default()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the duration in whole seconds, rounded up and at least one, so that a client that obeys `Retry-After` does
/// not come back too early.
pub fn whole_seconds(duration: Duration) -> u64 {
    millis(duration).div_ceil(1000).max(1)
}

/// Returns the duration for a person to read, rounded up to a unit that matters: `45 s`, `12 min`, `10 h 22 min`, `3 d 4 h`.
pub fn in_words(duration: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = whole_seconds(duration);
    let parts = |whole: u64, of: u64, name: &str, part_of: u64, part_name: &str| {
        let rounded = whole.div_ceil(part_of);
        let (major, minor) = (rounded / (of / part_of), rounded % (of / part_of));
        if minor == 0 { format!("{major} {name}") } else { format!("{major} {name} {minor} {part_name}") }
    };
    match seconds {
        0..120 => format!("{seconds} s"),
        120..HOUR => format!("{} min", seconds.div_ceil(MINUTE)),
        HOUR..DAY => parts(seconds, HOUR, "h", MINUTE, "min"),
        _ => parts(seconds, DAY, "d", HOUR, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_the_units_that_matter_and_never_too_short() {
        for (seconds, words) in [
            (1, "1 s"),
            (119, "119 s"),
            (120, "2 min"),
            (121, "3 min"),
            (3600, "1 h"),
            (3601, "1 h 1 min"),
            (37_282, "10 h 22 min"),
            (86_400, "1 d"),
            (2_591_978, "30 d"),
            (270_001, "3 d 4 h"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words, "{seconds} s");
        }
    }

    #[test]
    fn seconds_and_text_agree() {
        let moment = Timestamp::from_unix_millis(1_795_378_606_999);
        assert_eq!(moment.unix_seconds(), 1_795_378_606);
        assert_eq!(moment.to_rfc3339(), "2026-11-22T20:16:46Z");
    }

    #[test]
    fn windows_start_at_multiples_of_their_length() {
        let hour = Duration::from_hours(1);
        let start = Timestamp::from_unix_seconds(7200);
        assert_eq!(Timestamp::from_unix_millis(10_799_999).window_start(hour), start);
        assert_eq!(start.window_start(hour), start);
    }

    #[test]
    fn retry_after_is_never_too_early() {
        let cases = [(0, 1), (1, 1), (1000, 1), (1001, 2)];
        for (millis, seconds) in cases {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }
}
