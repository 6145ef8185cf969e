//! Identifiers: 128-bit random UUIDs (RFC 9562, version 4), which are opaque to clients.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::base::random::{self, RandomError};

/// The error for a text that is not an identifier in its canonical form.
#[derive(Debug, thiserror::Error)]
#[error("must be an identifier: a UUID in lower case, with hyphens")]
pub struct ParseIdError;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a new identifier with the operating system's random generator.
            pub fn generate() -> Result<Self, RandomError> {
                Ok(Self(Builder::from_random_bytes(random::bytes()?).into_uuid()))
            }

            /// Returns the identifier's 16 bytes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Returns the identifier that has these 16 bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Accepts only the canonical form (lower case, with hyphens), so that an identifier has one spelling.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let id = Self(Uuid::try_parse(text).map_err(|_| ParseIdError)?);
                if id.to_string() == text { Ok(id) } else { Err(ParseIdError) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

identifier! {
    /// The identifier of a user: `sub` in tokens, `id` in responses.
    UserId
}

identifier! {
    /// The identifier of a session, from a login to its end: `sid` in tokens.
    SessionId
}

identifier! {
    /// The identifier of a signed token: `jti`.
    TokenId
}

identifier! {
    /// The identifier of one logical write.
    ///
    /// It is the `ClientRequestToken` of a transaction or is stored with a single conditional write, so that after a
    /// lost response the retry recognizes the write as its own and not as another request's (docs/threats.md#w3,
    /// docs/threats.md#w4).
    OperationId
}

identifier! {
    /// The identifier of a registration that waits for its code.
    RegistrationId
}

identifier! {
    /// The identifier of one sent code. It binds the stored [`crate::domain::otp::OtpMac`] to that message.
    ChallengeId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_read() {
        let id = UserId::generate().unwrap();
        let text = id.to_string();
        assert_eq!(text.parse::<UserId>().unwrap(), id);
        for other in [text.to_uppercase(), text.replace('-', ""), format!("{{{text}}}"), format!("{text} ")] {
            assert!(other.parse::<UserId>().is_err(), "{other}");
        }
    }
}
