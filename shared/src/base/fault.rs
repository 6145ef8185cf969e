//! Errors that are only reported.

use std::error::Error as StdError;

/// An error of any type that is reported and not handled, with its sources.
pub type Source = Box<dyn StdError + Send + Sync>;

/// Returns an error and its sources as one line, for the log.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
