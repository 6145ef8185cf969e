//! Refresh tokens: 102 bytes, which are opaque to clients. Making one takes both the table and the key. A token that we
//! did not make is refused before the table is read.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;

use crate::base::{
    id::{SessionId, UserId},
    kid::{Kid, Versioned},
    random::{self, RandomError},
};

/// The version of the format, a token's first byte. Version 1 did not name its key.
const VERSION: u8 = 2;
/// The length of an HMAC-SHA-256, in bytes.
const MAC_LENGTH: usize = 32;
/// The length of version, key, user, session and generation, in bytes.
const PUBLIC_LENGTH: usize = 1 + 1 + 16 + 16 + 4;
/// The length of a token, in bytes.
const LENGTH: usize = PUBLIC_LENGTH + 2 * MAC_LENGTH;

/// The 256 random bits of a session that are stored in its item and are in no token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionSalt([u8; 32]);

impl SessionSalt {
    /// Makes a new salt.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(random::bytes()?))
    }

    /// Takes a salt from the table.
    pub fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the salt's bytes, for the table.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSalt")
    }
}

/// A token that continues a session once. In base64url, it has the version, the key's version, the user, the session
/// and the generation; a seal over the whole token, which our key alone can verify; and an HMAC-SHA-256 over the first five
/// and the session's salt.
pub struct RefreshToken {
    /// The version of the key that made the token.
    pub kid: Kid,
    /// The owner of the session.
    pub user: UserId,
    /// The session that the token continues.
    pub session: SessionId,
    /// The number of the token within its session; each use raises it.
    pub generation: u32,
    mac: [u8; MAC_LENGTH],
}

impl RefreshToken {
    /// Returns the token of this generation of a session. The same arguments always give the same token.
    pub fn new(
        key: &Versioned<hmac::Key>,
        user: UserId,
        session: SessionId,
        generation: u32,
        salt: &SessionSalt,
    ) -> Self {
        let mut token = Self { kid: key.kid, user, session, generation, mac: [0; MAC_LENGTH] };
        let tag = hmac::sign(&key.key, &salted(&token.public_part(), salt));
        token.mac.copy_from_slice(tag.as_ref());
        token
    }

    /// Returns the version of the key that a text names, if it has the form of a token. Only that key can tell whether
    /// we made it.
    pub fn kid_of(text: &str) -> Result<Kid, NotARefreshToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NotARefreshToken)?;
        match bytes.as_slice() {
            [VERSION, kid, ..] if bytes.len() == LENGTH => Kid::from_byte(*kid).ok_or(NotARefreshToken),
            _ => Err(NotARefreshToken),
        }
    }

    /// Reads a token that we sealed, and refuses any other text. A token has only one spelling.
    ///
    /// Every access token names its user and its session, so that an attacker who sees one could make up a
    /// refresh token of a later generation. The seal exposes it before the session is read.
    pub fn open(key: &Versioned<hmac::Key>, text: &str) -> Result<Self, NotARefreshToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NotARefreshToken)?;
        let (public, rest) = bytes.split_first_chunk::<PUBLIC_LENGTH>().ok_or(NotARefreshToken)?;
        let (seal, mac) = rest.split_first_chunk::<MAC_LENGTH>().ok_or(NotARefreshToken)?;
        let mac: &[u8; MAC_LENGTH] = mac.try_into().map_err(|_| NotARefreshToken)?;
        hmac::verify(&key.key, &sealed(public, mac), seal).map_err(|_| NotARefreshToken)?;

        let (version, rest) = public.split_first_chunk::<2>().ok_or(NotARefreshToken)?;
        let (user, rest) = rest.split_first_chunk::<16>().ok_or(NotARefreshToken)?;
        let (session, generation) = rest.split_first_chunk::<16>().ok_or(NotARefreshToken)?;
        let generation = generation.try_into().map_err(|_| NotARefreshToken)?;
        if *version != [VERSION, key.kid.as_byte()] {
            return Err(NotARefreshToken);
        }
        Ok(Self {
            kid: key.kid,
            user: UserId::from_bytes(*user),
            session: SessionId::from_bytes(*session),
            generation: u32::from_be_bytes(generation),
            mac: *mac,
        })
    }

    /// Returns whether the token was made for the session with this salt; compares in constant time.
    pub fn is_of(&self, key: &Versioned<hmac::Key>, salt: &SessionSalt) -> bool {
        hmac::verify(&key.key, &salted(&self.public_part(), salt), &self.mac).is_ok()
    }

    /// Returns the keyed hash of an attempt to exchange this token. Binding it to the token makes an attempt that a
    /// client uses again worth nothing for another token.
    pub fn attempt_mac(&self, key: &Versioned<hmac::Key>, attempt: &RefreshAttempt) -> UseMac {
        self.use_mac(key, b"attempt", attempt.0.as_bytes())
    }

    /// Returns the keyed hash of the client that exchanges this token, so that two uses can be told to be of one client
    /// or of two without storing where they came from.
    pub fn client_mac(&self, key: &Versioned<hmac::Key>, user_agent: &str, network: &str) -> UseMac {
        self.use_mac(key, b"client", &[user_agent.as_bytes(), b"\0", network.as_bytes()].concat())
    }

    fn use_mac(&self, key: &Versioned<hmac::Key>, kind: &[u8], of: &[u8]) -> UseMac {
        let tag = hmac::sign(&key.key, &[kind, &self.public_part(), of].concat());
        let mut mac = [0; MAC_LENGTH];
        mac.copy_from_slice(tag.as_ref());
        UseMac(mac)
    }

    /// Returns the token's text, which may go only to the bearer.
    pub fn reveal(&self, key: &Versioned<hmac::Key>) -> String {
        let mut bytes = self.public_part();
        let seal = hmac::sign(&key.key, &sealed(&bytes, &self.mac));
        bytes.extend_from_slice(seal.as_ref());
        bytes.extend_from_slice(&self.mac);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    fn public_part(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend_from_slice(&[VERSION, self.kid.as_byte()]);
        bytes.extend_from_slice(self.user.as_bytes());
        bytes.extend_from_slice(self.session.as_bytes());
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes
    }
}

/// A random value that a client makes before it exchanges a refresh token and keeps until it has the response. It proves
/// that a repeated request is the same client's (docs/adr/0022-a-lost-reply-is-not-a-theft.md). Has no `Debug`: it is a
/// secret of the client.
pub struct RefreshAttempt(String);

impl RefreshAttempt {
    /// The allowed lengths, in characters.
    pub const LENGTHS: RangeInclusive<usize> = 16..=128;
}

impl FromStr for RefreshAttempt {
    type Err = InvalidAttempt;

    /// Accepts what base64, base64url, hexadecimal and UUIDs consist of, and the unreserved characters of URLs. A UUID is the
    /// same in capitals (RFC 9562 section 4), since a client may store it as one.
    fn from_str(text: &str) -> Result<Self, InvalidAttempt> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if Self::LENGTHS.contains(&text.len()) && text.bytes().all(is_allowed) {
            let is_uuid = uuid::Uuid::try_parse(text).is_ok_and(|_| text.len() == 36);
            Ok(Self(if is_uuid { text.to_ascii_lowercase() } else { text.to_owned() }))
        } else {
            Err(InvalidAttempt)
        }
    }
}

/// The text cannot be an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 16 to 128 of the characters A-Z a-z 0-9 - . _ ~ + / =, made at random, such as a UUID")]
pub struct InvalidAttempt;

/// A keyed hash of an attempt or of a client, bound to one refresh token.
#[derive(Clone, Copy)]
pub struct UseMac([u8; MAC_LENGTH]);

impl UseMac {
    /// Wraps a hash that was read from the table.
    pub fn from_stored(bytes: [u8; MAC_LENGTH]) -> Self {
        Self(bytes)
    }

    /// Returns its bytes.
    pub fn as_bytes(&self) -> &[u8; MAC_LENGTH] {
        &self.0
    }
}

impl PartialEq for UseMac {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0, |differing, (one, other)| differing | (one ^ other)) == 0
    }
}

impl Eq for UseMac {}

impl fmt::Debug for UseMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UseMac")
    }
}

/// Returns the message of the MAC. It never starts like the message of the seal, so that neither passes for the other.
fn salted(public: &[u8], salt: &SessionSalt) -> Vec<u8> {
    [b"mac", public, salt.as_bytes()].concat()
}

/// Returns the message of the seal: every other byte of the token.
fn sealed(public: &[u8], mac: &[u8; MAC_LENGTH]) -> Vec<u8> {
    [b"seal", public, mac].concat()
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshToken({}, generation {})", self.session, self.generation)
    }
}

/// The error for a text that is not a refresh token we made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token that this service issued")]
pub struct NotARefreshToken;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The key of this version, with the same bytes for every version that is even or odd.
    fn key(version: u8) -> Versioned<hmac::Key> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[version % 2; 32]);
        Versioned { kid: Kid::from_byte(version).unwrap(), key }
    }

    fn text(salt: &SessionSalt) -> String {
        RefreshToken::new(&key(1), UserId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]), 7, salt).reveal(&key(1))
    }

    #[test]
    fn a_token_reads_back_and_holds_only_with_its_key_and_salt() {
        let salt = SessionSalt::generate().unwrap();
        let read = RefreshToken::open(&key(1), &text(&salt)).unwrap();
        assert_eq!((read.user.as_bytes(), read.session.as_bytes(), read.generation), (&[1; 16], &[2; 16], 7));
        assert!(read.is_of(&key(1), &salt));
        assert!(!read.is_of(&key(1), &SessionSalt::generate().unwrap()));
        assert!(RefreshToken::open(&key(2), &text(&salt)).is_err());
        assert!(RefreshToken::open(&key(3), &text(&salt)).is_err(), "the same key under another version");
        assert_eq!(RefreshToken::kid_of(&text(&salt)).unwrap(), key(1).kid);
    }

    #[test]
    fn cut_lengthened_padded_and_recased_tokens_fail() {
        let salt = SessionSalt::from_stored([9; 32]);
        let text = text(&salt);
        for cut in 1..=8 {
            assert!(RefreshToken::open(&key(1), &text[..text.len() - cut]).is_err());
            assert!(RefreshToken::open(&key(1), &format!("{text}{}", "A".repeat(cut))).is_err());
        }
        for other in [format!("{text}="), text.to_lowercase(), text.to_uppercase(), format!(" {text}"), String::new()] {
            assert!(RefreshToken::open(&key(1), &other).is_err());
        }
    }

    #[test]
    fn nothing_prints_a_token() {
        let token =
            RefreshToken::open(&key(1), &text(&SessionSalt::from_stored([9; 32]))).map(|token| format!("{token:?}"));
        assert_eq!(token.unwrap(), "RefreshToken(02020202-0202-0202-0202-020202020202, generation 7)");
    }

    #[test]
    fn an_attempt_has_16_to_128_plain_characters() {
        for right in ["0123456789abcdef", "AZaz09-._~+/==AZ", &"x".repeat(128)] {
            assert!(right.parse::<RefreshAttempt>().is_ok(), "{right}");
        }
        for wrong in
            ["", "0123456789abcde", &"x".repeat(129), "sixteen or more ", "0123456789abcde\n", "übersechzehnlang"]
        {
            assert!(wrong.parse::<RefreshAttempt>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn hashes_of_uses_are_of_one_token_kind_key_and_value() {
        let token = |generation| {
            let (user, session) = (UserId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]));
            RefreshToken::new(&key(1), user, session, generation, &SessionSalt::from_stored([9; 32]))
        };
        let attempt = |text: &str| text.parse::<RefreshAttempt>().unwrap();
        let one = token(7).attempt_mac(&key(1), &attempt("0123456789abcdef"));
        assert!(one == token(7).attempt_mac(&key(1), &attempt("0123456789abcdef")));
        assert!(one != token(7).attempt_mac(&key(1), &attempt("0123456789abcdeF")));
        assert!(one != token(8).attempt_mac(&key(1), &attempt("0123456789abcdef")));
        assert!(one != token(7).attempt_mac(&key(2), &attempt("0123456789abcdef")));
        assert!(one != token(7).client_mac(&key(1), "0123456789abcdef", ""));
        let client = |user_agent, network| token(7).client_mac(&key(1), user_agent, network);
        assert!(client("a", "bc") == client("a", "bc") && client("a", "bc") != client("ab", "c"));
    }

    proptest! {
        #[test]
        fn a_token_with_any_byte_changed_does_not_hold(at in 0_usize..LENGTH, with in 1_u8..) {
            let salt = SessionSalt::from_stored([9; 32]);
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text(&salt)).unwrap();
            bytes[at] ^= with;
            let read = RefreshToken::open(&key(1), &BASE64_URL_SAFE_NO_PAD.encode(bytes));
            prop_assert!(read.is_err(), "before anything is read");
        }

        #[test]
        fn any_text_is_refused_and_never_panics(text in any::<String>()) {
            prop_assert!(RefreshToken::open(&key(1), &text).is_err());
            prop_assert!(RefreshToken::kid_of(&text).is_err());
        }
    }
}
