//! Recovery codes: a user without the authenticator signs in with one of them, once each.

use std::{fmt, str::FromStr};

use base32::Alphabet;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::spelling;
use crate::base::{
    id::UserId,
    random::{self, RandomError},
};

/// The number of codes that a user has at once.
const COUNT: usize = 10;

/// The length of a code, in bytes. It has 120 bits; from 112 bits on, a plain hash without key, salt or stretching is
/// enough (OWASP ASVS 5.0, 6.5.2).
const LENGTH: usize = 15;

/// The length of a code in characters, of five bits each.
const CHARACTERS: usize = LENGTH * 8 / 5;

/// The number of characters between two hyphens.
const GROUP: usize = 4;

/// A code in the form that is shown and typed. It is never stored or printed, and is wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(Zeroizing<[u8; LENGTH]>);

impl RecoveryCode {
    /// The form in which codes are shown, as a regular expression. [`FromStr`] reads other spellings as well.
    pub const PATTERN: &str = "^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){5}$";

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

    /// Returns the form that is stored: SHA-256 over the user and the code. Nobody can try 120 random bits, so the hash
    /// needs no key, and a code outlives every version of the master secret
    /// (docs/adr/0021-versions-of-the-master-secret.md). The hash covers the user, so that a code is right only for its
    /// owner.
    ///
    /// The hash need not be compared in constant time: an attacker who learns how much of it is right cannot choose a
    /// code by that.
    pub fn hash(&self, user: UserId) -> RecoveryCodeHash {
        let message = Zeroizing::new([b"latchkey recovery v2".as_slice(), user.as_bytes(), &*self.0].concat());
        RecoveryCodeHash(BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &message)))
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

    /// Returns the hashes of the codes.
    pub fn hashes(&self, user: UserId) -> Vec<RecoveryCodeHash> {
        self.0.iter().map(|code| code.hash(user)).collect()
    }

    /// Returns the codes, which may be shown only to their owner.
    pub fn reveal(&self) -> Vec<String> {
        self.0.iter().map(|code| code.reveal().to_string()).collect()
    }
}

/// The error for a text that cannot be a recovery code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a recovery code: 24 letters and digits, for example 9QK2-7H3M-…")]
pub struct InvalidRecoveryCode;

/// The hash of a recovery code, in base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCodeHash(String);

impl RecoveryCodeHash {
    /// Returns the text of the hash, for the table.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RecoveryCodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCodeHash")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
    fn a_hash_is_of_one_user_and_one_code() {
        let (code, user) = (RecoveryCode::generate().unwrap(), UserId::generate().unwrap());
        assert!(code.hash(user) == code.hash(user));
        assert!(code.hash(user) != code.hash(UserId::generate().unwrap()));
        assert!(code.hash(user) != RecoveryCode::generate().unwrap().hash(user));
        assert_eq!(code.hash(user).as_str().len(), 43, "base64url of 32 bytes");
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
