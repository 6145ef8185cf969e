//! The identifier that an imported account had in the other system.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

/// The identifier that the account had in the system that it was imported from: a number, or a text such as a UUID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(untagged)]
pub enum LegacyId {
    /// An integer.
    #[schema(title = "LegacyNumber")]
    Number(i64),
    /// Any other identifier, as the other system wrote it.
    #[schema(title = "LegacyText")]
    Text(String),
}

impl fmt::Display for LegacyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<i64> for LegacyId {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}
