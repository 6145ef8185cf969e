//! Outcomes that several use cases share.

use super::{
    limits::LimitReached,
    table::wire::{Receipt, Transacted},
};

/// The outcome of a change that happens only if the account is still as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Everything was written.
    Done,
    /// Another request changed the account, the session or the code first; nothing was written.
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

/// The outcome of a request to try a password or a code. The try is counted before anything is compared.
#[derive(Clone, Debug)]
pub enum Attempt<T> {
    /// The try is counted, and may be compared.
    Admitted {
        /// The stored value to compare the try with.
        with: T,
        /// The receipt that takes the count back, for a try that is not compared after all.
        receipt: Receipt,
    },
    /// No try is allowed at present; nothing was counted.
    LimitReached(LimitReached),
    /// Nothing exists to try: it has ended, is used up, or never existed.
    Nothing,
}

impl<T> Attempt<T> {
    /// Returns the same outcome with a part of what the try is compared with.
    pub(super) fn map<U>(self, part: impl FnOnce(T) -> U) -> Attempt<U> {
        match self {
            Self::Admitted { with, receipt } => Attempt::Admitted { with: part(with), receipt },
            Self::LimitReached(reached) => Attempt::LimitReached(reached),
            Self::Nothing => Attempt::Nothing,
        }
    }
}
