//! Log lines with a schema of their own: counts and audit events. They are no diagnostics, so `RUST_LOG` does not
//! silence them.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use serde_json::Value;

/// The largest number of lines that are kept, because the dev server may run for a long time.
const MAX_KEPT: usize = 10_000;

/// The destination of lines.
#[derive(Clone, Debug, Default)]
pub enum LineLog {
    /// Standard output, which is a function's log.
    #[default]
    Stdout,
    /// Memory only, for tests and for the dev server, where no alarm reads them.
    Kept(KeptLines),
}

/// The lines that were kept instead of written.
#[derive(Clone, Debug, Default)]
pub struct KeptLines(Arc<Mutex<Vec<Value>>>);

impl KeptLines {
    /// Returns the lines so far, and forgets them.
    pub fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, line: Value) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MAX_KEPT {
            kept.push(line);
        }
    }
}

impl LineLog {
    /// Writes a line. A line that cannot be written does not fail the request.
    pub fn write(&self, line: &impl Serialize) {
        let written = match self {
            Self::Stdout => {
                serde_json::to_string(line).map_err(io::Error::from).and_then(|line| writeln!(io::stdout(), "{line}"))
            }
            Self::Kept(kept) => serde_json::to_value(line).map(|line| kept.keep(line)).map_err(io::Error::from),
        };
        if let Err(error) = written {
            tracing::error!(%error, "an audit event or a count cannot be written to the log");
        }
    }
}
