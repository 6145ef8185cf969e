//! Counts that operators watch. CloudWatch reads them from the log (embedded metric format), so that they cost no call
//! and need no permission.

use serde_json::json;

use crate::{base::time::Timestamp, log::line_log::LineLog};

/// A kind of count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Codes that a provider may have sent, by country.
    CodesSent,
    /// Codes that certainly were not sent, by country.
    CodesNotSent,
    /// Codes for which the provider reported no outcome, by country. `CodesSent` counts them, too.
    CodesUnknown,
    /// Notices that a provider may have sent, by country.
    NoticesSent,
    /// Codes that were entered and right, by country. If they are few of those sent, an attacker may be pumping
    /// messages.
    CodesVerified,
    /// Requests for a message that met the used-up budget of a country or the total, by bucket.
    MessagesBudgetReached,
    /// Spent refresh tokens that got their successor again because the grace allowed it, by client: `same` as the one that
    /// spent the token, or `other`.
    RefreshGraceUses,
    /// Spent refresh tokens whose use was taken for theft and ended the session, by reason.
    RefreshTokensReused,
}

impl Metric {
    fn as_str(self) -> &'static str {
        match self {
            Self::CodesSent => "CodesSent",
            Self::CodesNotSent => "CodesNotSent",
            Self::CodesUnknown => "CodesUnknown",
            Self::NoticesSent => "NoticesSent",
            Self::CodesVerified => "CodesVerified",
            Self::MessagesBudgetReached => "MessagesBudgetReached",
            Self::RefreshGraceUses => "RefreshGraceUses",
            Self::RefreshTokensReused => "RefreshTokensReused",
        }
    }

    fn dimension(self) -> &'static str {
        match self {
            Self::MessagesBudgetReached => "Bucket",
            Self::RefreshGraceUses => "Client",
            Self::RefreshTokensReused => "Reason",
            Self::CodesSent | Self::CodesNotSent | Self::CodesUnknown | Self::NoticesSent | Self::CodesVerified => {
                "Country"
            }
        }
    }
}

/// The writer of counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The namespace of the counts in CloudWatch.
    pub namespace: String,
    /// The destination of the counts.
    pub log: LineLog,
}

impl Metrics {
    /// Counts one: for the value of its dimension, such as a country, and in total.
    pub fn count(&self, metric: Metric, kind: &str, now: Timestamp) {
        let (name, dimension) = (metric.as_str(), metric.dimension());
        self.log.write(&json!({
            "_aws": {
                "Timestamp": now.unix_millis(),
                "CloudWatchMetrics": [{
                    "Namespace": self.namespace,
                    "Dimensions": [[], [dimension]],
                    "Metrics": [{"Name": name, "Unit": "Count"}],
                }],
            },
            dimension: kind,
            name: 1,
        }));
    }
}
