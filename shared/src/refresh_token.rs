//! Refresh tokens: opaque to clients, 69 bytes to us. Neither the table alone nor the key alone can make one.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;

use crate::{
    id::{SessionId, UserId},
    random::{self, RandomError},
};

const VERSION: u8 = 1;
const MAC_LENGTH: usize = 32;
const LENGTH: usize = 1 + 16 + 16 + 4 + MAC_LENGTH;

/// 256 random bits of a session, kept in its item and in no token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionSalt([u8; 32]);

impl SessionSalt {
    /// A new one.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(random::bytes()?))
    }

    /// One as we stored it.
    pub fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSalt")
    }
}

/// The right to continue a session once: version, user, session, generation and an HMAC-SHA-256 over them and the
/// session's salt, in base64url.
pub struct RefreshToken {
    /// Whose session.
    pub user: UserId,
    /// Which session.
    pub session: SessionId,
    /// Which of the session's tokens: each use raises it.
    pub generation: u32,
    mac: [u8; MAC_LENGTH],
}

impl RefreshToken {
    /// The token of this generation of a session. The same arguments give the same token.
    pub fn new(key: &hmac::Key, user: UserId, session: SessionId, generation: u32, salt: &SessionSalt) -> Self {
        let tag = hmac::sign(key, &message(user, session, generation, salt));
        let mut mac = [0; MAC_LENGTH];
        mac.copy_from_slice(tag.as_ref());
        Self { user, session, generation, mac }
    }

    /// Whether it was made by us for this session; in constant time.
    pub fn is_authentic(&self, key: &hmac::Key, salt: &SessionSalt) -> bool {
        hmac::verify(key, &message(self.user, self.session, self.generation, salt), &self.mac).is_ok()
    }

    /// The token's text, to be handed to its bearer and nowhere else.
    pub fn reveal(&self) -> String {
        let mut bytes = public_part(self.user, self.session, self.generation);
        bytes.extend_from_slice(&self.mac);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

fn public_part(user: UserId, session: SessionId, generation: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LENGTH);
    bytes.push(VERSION);
    bytes.extend_from_slice(user.as_bytes());
    bytes.extend_from_slice(session.as_bytes());
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes
}

fn message(user: UserId, session: SessionId, generation: u32, salt: &SessionSalt) -> Vec<u8> {
    let mut message = public_part(user, session, generation);
    message.extend_from_slice(salt.as_bytes());
    message
}

impl FromStr for RefreshToken {
    type Err = MalformedRefreshToken;

    /// Reads the shape only; [`Self::is_authentic`] judges. One token has one spelling.
    fn from_str(text: &str) -> Result<Self, MalformedRefreshToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| MalformedRefreshToken)?;
        let (version, rest) = bytes.split_first_chunk::<1>().ok_or(MalformedRefreshToken)?;
        let (user, rest) = rest.split_first_chunk::<16>().ok_or(MalformedRefreshToken)?;
        let (session, rest) = rest.split_first_chunk::<16>().ok_or(MalformedRefreshToken)?;
        let (generation, mac) = rest.split_first_chunk::<4>().ok_or(MalformedRefreshToken)?;
        let mac = mac.try_into().map_err(|_| MalformedRefreshToken)?;
        if *version != [VERSION] {
            return Err(MalformedRefreshToken);
        }
        Ok(Self {
            user: UserId::from_bytes(*user),
            session: SessionId::from_bytes(*session),
            generation: u32::from_be_bytes(*generation),
            mac,
        })
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshToken({}, generation {})", self.session, self.generation)
    }
}

/// The text has not the shape of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token")]
pub struct MalformedRefreshToken;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    fn token(salt: &SessionSalt) -> RefreshToken {
        RefreshToken::new(&key(1), UserId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]), 7, salt)
    }

    #[test]
    fn a_token_reads_back_and_holds_only_with_its_key_and_salt() {
        let salt = SessionSalt::generate().unwrap();
        let read: RefreshToken = token(&salt).reveal().parse().unwrap();
        assert_eq!((read.user.as_bytes(), read.session.as_bytes(), read.generation), (&[1; 16], &[2; 16], 7));
        assert!(read.is_authentic(&key(1), &salt));
        assert!(!read.is_authentic(&key(2), &salt));
        assert!(!read.is_authentic(&key(1), &SessionSalt::generate().unwrap()));
    }

    #[test]
    fn cut_lengthened_padded_and_recased_tokens_fail() {
        let salt = SessionSalt::from_stored([9; 32]);
        let text = token(&salt).reveal();
        for cut in 1..=8 {
            assert!(text[..text.len() - cut].parse::<RefreshToken>().is_err());
            assert!(format!("{text}{}", "A".repeat(cut)).parse::<RefreshToken>().is_err());
        }
        assert!(format!("{text}=").parse::<RefreshToken>().is_err());
        let recased = text.to_lowercase().parse::<RefreshToken>();
        assert!(recased.is_err() || !recased.unwrap().is_authentic(&key(1), &salt));
    }

    proptest! {
        #[test]
        fn a_token_with_any_byte_changed_is_not_authentic(at in 0_usize..LENGTH, with in 1_u8..) {
            let salt = SessionSalt::from_stored([9; 32]);
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token(&salt).reveal()).unwrap();
            bytes[at] ^= with;
            let read = BASE64_URL_SAFE_NO_PAD.encode(bytes).parse::<RefreshToken>();
            prop_assert!(read.is_err() || !read.unwrap().is_authentic(&key(1), &salt));
        }

        #[test]
        fn any_text_is_read_or_refused_but_never_panics(text in any::<String>()) {
            let _ = text.parse::<RefreshToken>();
        }
    }
}
