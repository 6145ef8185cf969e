//! Errors that are only reported.

use std::error::Error as StdError;

/// An error of any type that is reported and not handled, with its sources.
pub type Source = Box<dyn StdError + Send + Sync>;

/// Returns an error and its sources as one line, for logs and terminals.
pub fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        // Some errors repeat their source.
        if !line.ends_with(&more) {
            line.push_str(": ");
            line.push_str(&more);
        }
        source = error.source();
    }
    line
}
