//! How use cases end that have nothing of their own to say.

use super::{
    limits::LimitReached,
    table::wire::{Receipt, Transacted},
};

/// How a change ended that happens only while the account is as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// All of it was written.
    Done,
    /// Something else changed the account, the session or the code first; nothing was written.
    Overtaken,
}

impl From<Transacted> for Change {
    fn from(transacted: Transacted) -> Self {
        match transacted {
            Transacted::Committed => Self::Done,
            Transacted::Refused(_) => Self::Overtaken,
        }
    }
}

/// What a request gets that asks to try a password or a code. The try is counted before anything is compared.
#[derive(Clone, Debug)]
pub enum Attempt<T> {
    /// The try is counted, and may be compared.
    Admitted {
        /// What to compare it with.
        with: T,
        /// Takes the count back, for a try that is not compared after all.
        receipt: Receipt,
    },
    /// No try is allowed for now; nothing was counted.
    LimitReached(LimitReached),
    /// There is nothing to try: it is over, used up, or never was.
    Nothing,
}
