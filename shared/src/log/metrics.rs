//! Counts that operators watch, as CloudWatch reads them from the log (embedded metric format): no call, no permission.

use serde_json::json;

use crate::{base::time::Timestamp, log::line_log::LineLog};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// A code that was handed to a provider, by country.
    CodesSent,
    /// A code that a provider did not take, by country.
    CodesNotSent,
    /// A code of which the provider did not say what became of it, by country; counted as sent, too.
    CodesUnknown,
    /// A message that tells an owner of something without having been asked for, by country.
    NoticesSent,
    /// A code that came back and was right, by country. Few of those sent: somebody is pumping messages.
    CodesVerified,
    /// A request for a message that met the budget of its country or of all: the breaker is open. By bucket.
    MessagesBudgetReached,
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
        }
    }

    fn dimension(self) -> &'static str {
        match self {
            Self::MessagesBudgetReached => "Bucket",
            Self::CodesSent | Self::CodesNotSent | Self::CodesUnknown | Self::NoticesSent | Self::CodesVerified => {
                "Country"
            }
        }
    }
}

/// What counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// CloudWatch's namespace.
    pub namespace: String,
    /// Where the counts go.
    pub log: LineLog,
}

impl Metrics {
    /// Counts one, as one of its kind and as one of all.
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
