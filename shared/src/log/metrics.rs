//! Counts that operators watch. CloudWatch reads them from the log (embedded metric format), so that they cost no call
//! and need no permission.

use serde_json::json;

use crate::{base::time::Timestamp, log::line_log::LineLog};

macro_rules! metrics {
    ($($(#[$doc:meta])* $metric:ident by $dimension:ident;)+) => {
        /// A kind of count. The template has an alarm on each (`local/tests/it/alarms.rs`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric {
            $($(#[$doc])* $metric,)+
        }

        impl Metric {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$metric),+];

            /// Returns the metric's name in CloudWatch.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$metric => stringify!($metric),)+ }
            }

            /// Returns the name of what the count is split by in detail: a member of its line in the log.
            pub const fn dimension(self) -> &'static str {
                match self { $(Self::$metric => stringify!($dimension),)+ }
            }
        }
    };
}

metrics! {
    /// Codes that a provider may have sent.
    CodesSent by Country;
    /// Codes that certainly were not sent.
    CodesNotSent by Country;
    /// Codes for which the provider reported no outcome. `CodesSent` counts them, too.
    CodesUnknown by Country;
    /// Notices that a provider may have sent.
    NoticesSent by Country;
    /// Notices that could not be sent when they were due and are sent later, by the reason; `given-up` is never sent.
    NoticesDelayed by Reason;
    /// Codes that were entered and right. If they are few of those sent, an attacker may be pumping messages.
    CodesVerified by Country;
    /// Accounts that were parked, because a caller with a code for their phone started anew.
    AccountsParked by Country;
    /// Requests for a message that met the used-up budget of a country or the total.
    MessagesBudgetReached by Bucket;
    /// Messages that a used-up budget kept from an account, while the response was the same as ever.
    MessagesWithheld by Bucket;
    /// Responses that report a fault: 500 and 503, by the problem's code.
    Faults by Code;
    /// Responses that report a limit that was reached: 429, without those of `LockOuts`.
    LimitsReached by Bucket;
    /// Responses that report that wrong passwords or codes have locked a phone, a device, a session or a second factor: 429.
    LockOuts by Bucket;
    /// Spent refresh tokens that were used again after the grace, so that their session ended.
    RefreshTokenReuse by Reason;
    /// Spent refresh tokens that were answered once more, within the grace, by whether the same client asked.
    RefreshGraceUses by Client;
    /// Access tokens that a removed signing key has signed.
    RemovedKeyUses by Key;
    /// Signing keys that were removed because they had leaked.
    KeyRemovals by Key;
    /// Sign-ins and runs of `rotate-keys` that found a removed key in the secret or in the table, by where it was.
    KeyDisagreements by Behind;
}

impl Metric {
    /// Returns whether the dimension is one in CloudWatch in any case, because an alarm watches one of its values.
    pub const fn is_watched_in_detail(self) -> bool {
        matches!(self, Self::RefreshGraceUses)
    }
}

/// The writer of counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The namespace of the counts in CloudWatch.
    pub namespace: String,
    /// Whether each count is a metric of each value of its dimension, such as a country, as well as in total. CloudWatch asks
    /// a price for each. The line in the log names the value always.
    pub in_detail: bool,
    /// The destination of the counts.
    pub log: LineLog,
}

impl Metrics {
    /// Counts one: in total, and by the value of its dimension, such as a country.
    pub fn count(&self, metric: Metric, kind: &str, now: Timestamp) {
        let (name, dimension) = (metric.as_str(), metric.dimension());
        let is_split = self.in_detail || metric.is_watched_in_detail();
        let dimensions = if is_split { json!([[], [dimension]]) } else { json!([[]]) };
        self.log.write(&json!({
            "_aws": {
                "Timestamp": now.unix_millis(),
                "CloudWatchMetrics": [{
                    "Namespace": self.namespace,
                    "Dimensions": dimensions,
                    "Metrics": [{"Name": name, "Unit": "Count"}],
                }],
            },
            dimension: kind,
            name: 1,
        }));
    }
}
