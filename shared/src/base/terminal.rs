//! What commands say on a terminal.

use std::{
    error::Error,
    io::{self, Write},
};

use super::fault;

/// An error message for the terminal, in one sentence.
pub type Sentence = String;

/// Returns an error and its sources as a sentence.
pub fn sentence(error: impl Error) -> Sentence {
    fault::chain(&error)
}

/// Prints a line to standard output. Ignores errors, because a reader that has closed the pipe is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
