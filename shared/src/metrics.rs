//! Counts that operators watch, as CloudWatch reads them from the log (embedded metric format): no call, no permission.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

use crate::time::Timestamp;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// A code that was handed to a provider, by country.
    CodesSent,
    /// A code that a provider did not take, by country.
    CodesNotSent,
    /// A code that came back and was right, by country. Few of those sent: somebody is pumping messages.
    CodesVerified,
    /// A request for a message that met the budget of its country or of all: the breaker is open. By bucket.
    SmsBudgetReached,
}

impl Metric {
    fn as_str(self) -> &'static str {
        match self {
            Self::CodesSent => "CodesSent",
            Self::CodesNotSent => "CodesNotSent",
            Self::CodesVerified => "CodesVerified",
            Self::SmsBudgetReached => "SmsBudgetReached",
        }
    }

    fn dimension(self) -> &'static str {
        match self {
            Self::CodesSent | Self::CodesNotSent | Self::CodesVerified => "Country",
            Self::SmsBudgetReached => "Bucket",
        }
    }
}

/// Where counts go.
#[derive(Clone, Debug)]
pub enum Metrics {
    /// To standard output, in this namespace: what a function writes there is its log.
    Log(String),
    /// Nowhere but into memory, for tests and for the dev server, which nobody watches.
    Kept(KeptMetrics),
}

/// Counts that were kept: the lines, as they would have been written.
#[derive(Clone, Debug, Default)]
pub struct KeptMetrics(Arc<Mutex<Vec<Value>>>);

impl KeptMetrics {
    /// The lines so far; forgets them.
    pub fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Metrics {
    /// Counts one, as one of its kind and as one of all.
    pub fn count(&self, metric: Metric, kind: &str, now: Timestamp) {
        let (name, dimension) = (metric.as_str(), metric.dimension());
        let line = |namespace: &str| {
            json!({
                "_aws": {
                    "Timestamp": now.unix_millis(),
                    "CloudWatchMetrics": [{
                        "Namespace": namespace,
                        "Dimensions": [[], [dimension]],
                        "Metrics": [{"Name": name, "Unit": "Count"}],
                    }],
                },
                dimension: kind,
                name: 1,
            })
        };
        match self {
            // A count that cannot be written is no reason to fail.
            Self::Log(namespace) => {
                let _ = writeln!(io::stdout(), "{}", line(namespace));
            }
            Self::Kept(KeptMetrics(kept)) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < 10_000 {
                    kept.push(line("kept"));
                }
            }
        }
    }
}
