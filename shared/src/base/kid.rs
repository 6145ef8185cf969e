//! Versions of the master secret: the number that everything names that was made with one of its keys.

use std::{fmt, num::NonZeroU8, str::FromStr};

use serde::{Deserialize, Serialize};

/// The identifier of a key of the master secret. It is counted up from 1, and never used again
/// (docs/adr/0021-versions-of-the-master-secret.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kid(NonZeroU8);

impl Kid {
    /// The key that the stack is created with.
    pub const FIRST: Self = Self(NonZeroU8::MIN);

    /// Reads the byte that names the key in a token or in an item. Zero names none.
    pub fn from_byte(byte: u8) -> Option<Self> {
        NonZeroU8::new(byte).map(Self)
    }

    /// Returns the byte that names the key.
    pub const fn as_byte(self) -> u8 {
        self.0.get()
    }

    /// Returns the key after this one, or none after the 255th.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not the number of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the number of a key, from 1 to 255")]
pub struct NotAKid;

impl FromStr for Kid {
    type Err = NotAKid;

    fn from_str(text: &str) -> Result<Self, NotAKid> {
        text.parse().map(Self).map_err(|_| NotAKid)
    }
}

/// A key for one use, and the version of the master secret that it was derived from.
#[derive(Clone)]
pub struct Versioned<K> {
    /// The version.
    pub kid: Kid,
    /// The key.
    pub key: K,
}

impl<K> fmt::Debug for Versioned<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Versioned({})", self.kid)
    }
}
