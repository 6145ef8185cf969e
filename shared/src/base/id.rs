//! Identifiers: 128-bit random UUIDs (RFC 9562, version 4), which are opaque to clients.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::base::random::{self, RandomError};

/// The error for a text that is not an identifier.
#[derive(Debug, thiserror::Error)]
#[error("must be an identifier: a UUID with hyphens")]
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

            /// Accepts the canonical form (with hyphens) in any case: RFC 9562 section 4 asks for it, and some clients
            /// write their UUIDs in capitals. What is compared and stored is the value.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let id = Self(Uuid::try_parse(text).map_err(|_| ParseIdError)?);
                if id.to_string().eq_ignore_ascii_case(text) { Ok(id) } else { Err(ParseIdError) }
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
    fn the_canonical_spelling_is_read_in_any_case_and_no_other_is() {
        let id = UserId::generate().unwrap();
        let text = id.to_string();
        for spelling in [text.clone(), text.to_uppercase(), text[..18].to_uppercase() + &text[18..]] {
            let read: UserId = spelling.parse().unwrap();
            assert_eq!((read, read.to_string()), (id, text.clone()));
        }
        for other in [text.replace('-', ""), format!("{{{text}}}"), format!("{text} ")] {
            assert!(other.parse::<UserId>().is_err(), "{other}");
        }
    }
}
