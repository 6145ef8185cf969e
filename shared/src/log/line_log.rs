//! Lines of a schema of their own in the log: counts and audit events. They are no diagnostics, so `RUST_LOG` does not
//! silence them.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use serde_json::Value;

/// The most lines that are kept: the dev server runs for long.
const MAX_KEPT: usize = 10_000;

/// Where lines go.
#[derive(Clone, Debug, Default)]
pub enum LineLog {
    /// To standard output: what a function writes there is its log.
    #[default]
    Stdout,
    /// Nowhere but into memory, for tests and for the dev server, which nobody watches.
    Kept(KeptLines),
}

/// Lines that were kept, as they would have been written.
#[derive(Clone, Debug, Default)]
pub struct KeptLines(Arc<Mutex<Vec<Value>>>);

impl KeptLines {
    /// The lines so far; forgets them.
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
    /// Writes a line. What cannot be written is no reason for a request to fail.
    pub fn write(&self, line: &impl Serialize) {
        let written = match self {
            Self::Stdout => {
                serde_json::to_string(line).map_err(io::Error::from).and_then(|line| writeln!(io::stdout(), "{line}"))
            }
            Self::Kept(kept) => serde_json::to_value(line).map(|line| kept.keep(line)).map_err(io::Error::from),
        };
        if let Err(error) = written {
            tracing::error!(%error, "a line of the log cannot be written");
        }
    }
}
