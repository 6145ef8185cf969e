//! Recovery codes: a user without the authenticator signs in with one of them, once each.

use std::{fmt, str::FromStr};

use base32::Alphabet;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use zeroize::Zeroizing;

use super::spelling;
use crate::base::{
    id::UserId,
    random::{self, RandomError},
};

/// The number of codes that a user has at once.
const COUNT: usize = 10;

/// The length of a code, in bytes. It has 120 bits; from 112 bits on, a keyed hash without salt or stretching is enough
/// (OWASP ASVS 5.0, 6.5.2).
const LENGTH: usize = 15;

/// The length of a code in characters, of five bits each.
const CHARACTERS: usize = LENGTH * 8 / 5;

/// The number of characters between two hyphens.
const GROUP: usize = 4;

/// A code in the form that is shown and typed. It is never stored or printed, and is wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(Zeroizing<[u8; LENGTH]>);

impl RecoveryCode {
    /// Makes a new code.
    pub fn generate() -> Result<Self, RandomError> {
        random::bytes().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// Returns the code, which may be shown only to its owner: 24 characters in groups of four, in Crockford's base 32,
    /// which has no letters that look like digits.
    pub fn reveal(&self) -> Zeroizing<String> {
        let characters = Zeroizing::new(base32::encode(Alphabet::Crockford, &*self.0));
        let mut groups = Zeroizing::new(String::with_capacity(characters.len() * 2));
        for (at, character) in characters.chars().enumerate() {
            if at > 0 && at % GROUP == 0 {
                groups.push('-');
            }
            groups.push(character);
        }
        groups
    }

    /// Returns the form that is stored: HMAC-SHA-256 over the user and the code, under a key that is not in the table.
    /// The hash covers the user, so that a code is right only for its owner.
    pub fn mac(&self, key: &hmac::Key, user: UserId) -> RecoveryCodeMac {
        RecoveryCodeMac(BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(key, &self.message(user))))
    }

    /// Returns whether `stored` is the hash of this code; compares in constant time.
    pub fn is_right(&self, key: &hmac::Key, user: UserId, stored: &str) -> bool {
        let tag = BASE64_URL_SAFE_NO_PAD.decode(stored);
        tag.is_ok_and(|tag| hmac::verify(key, &self.message(user), &tag).is_ok())
    }

    fn message(&self, user: UserId) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([b"v1".as_slice(), user.as_bytes(), &*self.0].concat())
    }
}

impl FromStr for RecoveryCode {
    type Err = InvalidRecoveryCode;

    /// Reads a code as people type it from paper and paste it ([`spelling::digits_and_letters`]): in upper or lower case,
    /// with or without separators, with its number in a list, `O` for `0`, and `I` or `L` for `1`. All spellings give the
    /// same code and the same hash.
    fn from_str(typed: &str) -> Result<Self, InvalidRecoveryCode> {
        let read = |typed| spelling::digits_and_letters(typed).filter(|characters| characters.len() == CHARACTERS);
        let characters =
            read(typed).or_else(|| read(spelling::without_list_number(typed)?)).ok_or(InvalidRecoveryCode)?;
        let bytes = base32::decode(Alphabet::Crockford, &characters).map(Zeroizing::new).ok_or(InvalidRecoveryCode)?;
        let bytes = <[u8; LENGTH]>::try_from(bytes.as_slice()).map_err(|_| InvalidRecoveryCode)?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode")
    }
}

/// The codes that a user has at once.
#[derive(Debug)]
pub struct RecoveryCodes(Vec<RecoveryCode>);

impl RecoveryCodes {
    /// Makes ten new codes.
    pub fn generate() -> Result<Self, RandomError> {
        (0..COUNT).map(|_| RecoveryCode::generate()).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the ten codes that a seed gives under a key that is not in the table: the same each time, so that a
    /// response that was lost can be repeated.
    pub fn derive(key: &hmac::Key, user: UserId, seed: &RecoverySeed) -> Self {
        let code = |at: u8| {
            let message = [b"shown v1".as_slice(), user.as_bytes(), &seed.0, &[at]].concat();
            let mut bytes = Zeroizing::new([0; LENGTH]);
            for (byte, derived) in bytes.iter_mut().zip(hmac::sign(key, &message).as_ref()) {
                *byte = *derived;
            }
            RecoveryCode(bytes)
        };
        Self((0..).take(COUNT).map(code).collect())
    }

    /// Returns the hashes of the codes.
    pub fn macs(&self, key: &hmac::Key, user: UserId) -> Vec<RecoveryCodeMac> {
        self.0.iter().map(|code| code.mac(key, user)).collect()
    }

    /// Returns the codes, which may be shown only to their owner.
    pub fn reveal(&self) -> Vec<String> {
        self.0.iter().map(|code| code.reveal().to_string()).collect()
    }
}

/// The random bytes that a user's recovery codes are derived from. Without the key they reveal no code.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoverySeed([u8; 32]);

impl RecoverySeed {
    /// Makes a new seed.
    pub fn generate() -> Result<Self, RandomError> {
        random::bytes().map(Self)
    }

    /// Takes a seed from the table.
    pub fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the seed's bytes, for the table.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for RecoverySeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoverySeed")
    }
}

/// The error for a text that cannot be a recovery code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a recovery code: 24 letters and digits, for example 9QK2-7H3M-…")]
pub struct InvalidRecoveryCode;

/// The hash of a recovery code, in base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCodeMac(String);

impl RecoveryCodeMac {
    /// Returns the text of the hash, for the table.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RecoveryCodeMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCodeMac")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_ten_codes_to_its_user_under_its_key_alone() {
        let (key, other) = (hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]), hmac::Key::new(hmac::HMAC_SHA256, &[2; 32]));
        let (user, seed) = (UserId::from_bytes([1; 16]), RecoverySeed::from_stored([3; 32]));
        let codes = RecoveryCodes::derive(&key, user, &seed).reveal();
        assert_eq!(codes.iter().collect::<std::collections::BTreeSet<_>>().len(), COUNT);
        assert_eq!(RecoveryCodes::derive(&key, user, &seed).reveal(), codes);
        for other in [
            RecoveryCodes::derive(&other, user, &seed),
            RecoveryCodes::derive(&key, UserId::from_bytes([2; 16]), &seed),
            RecoveryCodes::derive(&key, user, &RecoverySeed::from_stored([4; 32])),
        ] {
            assert!(other.reveal().iter().all(|code| !codes.contains(code)));
        }
    }

    #[test]
    fn a_code_reads_back_however_it_is_typed() {
        let code = RecoveryCode::generate().unwrap();
        let shown = code.reveal();
        assert_eq!((shown.len(), shown.matches('-').count()), (29, 5));
        for typed in [
            shown.to_string(),
            shown.to_lowercase(),
            shown.replace('-', ""),
            shown.replace('-', " "),
            shown.replace('0', "O").replace('1', "l"),
        ] {
            assert!(typed.parse::<RecoveryCode>().unwrap() == code);
        }
        for wrong in [&shown[1..], &format!("{}A", *shown), "", "12345", &"U".repeat(24), &"é".repeat(12)] {
            assert!(wrong.parse::<RecoveryCode>().is_err());
        }
    }

    #[test]
    fn a_hash_is_of_one_user_and_one_key() {
        let key = |byte| hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]);
        let (code, user) = (RecoveryCode::generate().unwrap(), UserId::generate().unwrap());
        assert!(code.mac(&key(1), user) == code.mac(&key(1), user));
        assert!(code.mac(&key(1), user) != code.mac(&key(2), user));
        assert!(code.mac(&key(1), user) != code.mac(&key(1), UserId::generate().unwrap()));
        assert!(code.mac(&key(1), user) != RecoveryCode::generate().unwrap().mac(&key(1), user));
        let stored = code.mac(&key(1), user);
        assert!(code.is_right(&key(1), user, stored.as_str()));
        assert!(!code.is_right(&key(2), user, stored.as_str()));
        assert!(!code.is_right(&key(1), UserId::generate().unwrap(), stored.as_str()));
        assert!(!RecoveryCode::generate().unwrap().is_right(&key(1), user, stored.as_str()));
        assert!(!code.is_right(&key(1), user, "not base64!"));
    }

    #[test]
    fn nothing_prints_a_code() {
        assert_eq!(format!("{:?}", RecoveryCode::generate().unwrap()), "RecoveryCode");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_but_never_panics(typed in any::<String>()) {
            let _ = typed.parse::<RecoveryCode>();
        }
    }
}
