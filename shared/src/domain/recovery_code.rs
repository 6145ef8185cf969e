//! Recovery codes: a user without the authenticator signs in with one of them, once each.

use std::{fmt, str::FromStr};

use base32::Alphabet;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{aead::LessSafeKey, hmac};
use zeroize::Zeroizing;

use super::{
    sealed::{self, SealError, UnreadableSecret},
    spelling,
};
use crate::base::{
    id::UserId,
    kid::{Kid, Versioned},
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

    /// Returns the form that is stored: HMAC-SHA-256 over the user and the code. The hash covers the user, so that a code
    /// is right only for its owner.
    fn mac(&self, key: &RecoveryKey, user: UserId) -> RecoveryCodeMac {
        RecoveryCodeMac(BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key.hmac(), &self.message(user))))
    }

    /// Returns the hash of this code if `stored` is that; compares in constant time.
    pub fn matching(&self, key: &RecoveryKey, user: UserId, stored: &str) -> Option<RecoveryCodeMac> {
        let tag = BASE64_URL_SAFE_NO_PAD.decode(stored).ok()?;
        hmac::verify(&key.hmac(), &self.message(user), &tag).ok()?;
        Some(RecoveryCodeMac(stored.to_owned()))
    }

    fn message(&self, user: UserId) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([b"v1".as_slice(), user.as_bytes(), &*self.0].concat())
    }
}

impl FromStr for RecoveryCode {
    type Err = InvalidRecoveryCode;

    /// Reads a code as people type it from paper and paste it ([`spelling::digits_and_letters`]): in upper or lower case,
    /// with or without separators, with the mark of a list, `O` for `0`, and `I` or `L` for `1`. All spellings give the
    /// same code and the same hash.
    fn from_str(typed: &str) -> Result<Self, InvalidRecoveryCode> {
        let read = |typed| spelling::digits_and_letters(typed).filter(|characters| characters.len() == CHARACTERS);
        let characters = read(typed).or_else(|| read(spelling::without_list_mark(typed))).ok_or(InvalidRecoveryCode)?;
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
    pub fn derive(key: &Versioned<hmac::Key>, user: UserId, seed: &RecoverySeed) -> Self {
        let code = |at: u8| {
            let message = [b"shown v1".as_slice(), user.as_bytes(), seed.as_bytes(), &[at]].concat();
            let mut bytes = Zeroizing::new([0; LENGTH]);
            for (byte, derived) in bytes.iter_mut().zip(hmac::sign(&key.key, &message).as_ref()) {
                *byte = *derived;
            }
            RecoveryCode(bytes)
        };
        Self((0..).take(COUNT).map(code).collect())
    }

    /// Returns the form in which the codes are stored, under a new key that is sealed with this one.
    pub fn to_stored(&self, key: &Versioned<LessSafeKey>, user: UserId) -> Result<StoredRecoveryCodes, SealError> {
        let own = RecoveryKey(Zeroizing::new(random::bytes()?));
        let macs = self.0.iter().map(|code| code.mac(&own, user)).collect();
        Ok(StoredRecoveryCodes { key: own.seal(key, user)?, macs })
    }

    /// Returns the codes, which may be shown only to their owner.
    pub fn reveal(&self) -> Vec<String> {
        self.0.iter().map(|code| code.reveal().to_string()).collect()
    }
}

/// The random bytes that a user's recovery codes are derived from, and the version of the key to derive them with.
/// Without the key they reveal no code.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoverySeed {
    kid: Kid,
    /// The version's byte, and the random ones after it.
    bytes: [u8; 32],
}

impl RecoverySeed {
    /// Makes a new seed for a version of the key: 31 random bytes after the version's.
    pub fn generate(kid: Kid) -> Result<Self, RandomError> {
        let mut bytes: [u8; 32] = random::bytes()?;
        if let Some(first) = bytes.first_mut() {
            *first = kid.as_byte();
        }
        Ok(Self { kid, bytes })
    }

    /// Takes a seed from the table. Returns `None` if it names no version.
    pub fn from_stored(bytes: [u8; 32]) -> Option<Self> {
        let kid = bytes.first().copied().and_then(Kid::from_byte)?;
        Some(Self { kid, bytes })
    }

    /// Returns the version of the key.
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// Returns the seed's bytes, for the table.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
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

/// The codes of a user in the form that is stored.
#[derive(Clone, Debug)]
pub struct StoredRecoveryCodes {
    /// The key of the hashes.
    pub key: SealedRecoveryKey,
    /// The hashes.
    pub macs: Vec<RecoveryCodeMac>,
}

/// The key that hashes the recovery codes of one user. It is made with them, and stored only sealed. So it can be sealed
/// anew with another version of the master secret, which a hash cannot
/// (docs/adr/0021-versions-of-the-master-secret.md).
pub struct RecoveryKey(Zeroizing<[u8; KEY_LENGTH]>);

/// The length of that key, in bytes.
const KEY_LENGTH: usize = 32;

/// The use that a sealed key is bound to.
const USAGE: &[u8] = b"latchkey recovery v2";

impl RecoveryKey {
    /// Encrypts the key for the table.
    pub fn seal(&self, key: &Versioned<LessSafeKey>, user: UserId) -> Result<SealedRecoveryKey, SealError> {
        sealed::seal(&*self.0, USAGE, key, user).map(SealedRecoveryKey)
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &*self.0)
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey")
    }
}

/// A [`RecoveryKey`] in the form that is stored: encrypted under a key that is not in the table.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedRecoveryKey(Vec<u8>);

impl SealedRecoveryKey {
    /// Takes a sealed key from the table.
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the sealed bytes, for the table.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the version of the key that it is sealed with.
    pub fn kid(&self) -> Result<Kid, UnreadableSecret> {
        sealed::kid_of(&self.0)
    }

    /// Decrypts the key.
    pub fn open(&self, key: &Versioned<LessSafeKey>, user: UserId) -> Result<RecoveryKey, UnreadableSecret> {
        sealed::open(&self.0, USAGE, key, user).map(RecoveryKey)
    }
}

impl fmt::Debug for SealedRecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedRecoveryKey")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_ten_codes_to_its_user_under_its_key_alone() {
        let key = |byte| Versioned { kid: Kid::FIRST, key: hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]) };
        let (key, other) = (key(1), key(2));
        let seed = |byte| RecoverySeed::from_stored([byte; 32]).unwrap();
        let (user, other_seed, seed) = (UserId::from_bytes([1; 16]), seed(4), seed(3));
        assert!(RecoverySeed::from_stored([0; 32]).is_none(), "it names no version");
        let codes = RecoveryCodes::derive(&key, user, &seed).reveal();
        assert_eq!(codes.iter().collect::<std::collections::BTreeSet<_>>().len(), COUNT);
        assert_eq!(RecoveryCodes::derive(&key, user, &seed).reveal(), codes);
        for other in [
            RecoveryCodes::derive(&other, user, &seed),
            RecoveryCodes::derive(&key, UserId::from_bytes([2; 16]), &seed),
            RecoveryCodes::derive(&key, user, &other_seed),
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
        let key = |byte| RecoveryKey(Zeroizing::new([byte; KEY_LENGTH]));
        let (code, user) = (RecoveryCode::generate().unwrap(), UserId::generate().unwrap());
        assert!(code.mac(&key(1), user) == code.mac(&key(1), user));
        assert!(code.mac(&key(1), user) != code.mac(&key(2), user));
        assert!(code.mac(&key(1), user) != code.mac(&key(1), UserId::generate().unwrap()));
        assert!(code.mac(&key(1), user) != RecoveryCode::generate().unwrap().mac(&key(1), user));
        let stored = code.mac(&key(1), user);
        let is_right = |code: &RecoveryCode, byte, user| code.matching(&key(byte), user, stored.as_str()).is_some();
        assert!(is_right(&code, 1, user));
        assert!(!is_right(&code, 2, user));
        assert!(!is_right(&code, 1, UserId::generate().unwrap()));
        assert!(!is_right(&RecoveryCode::generate().unwrap(), 1, user));
        assert!(code.matching(&key(1), user, "not base64!").is_none());
    }

    #[test]
    fn a_sealed_key_opens_with_its_key_for_its_user_and_as_nothing_else() {
        use ring::aead::{AES_256_GCM, UnboundKey};

        use crate::domain::totp::SealedTotpSecret;
        let key = |version: u8, byte| {
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[byte; 32]).unwrap());
            Versioned { kid: Kid::from_byte(version).unwrap(), key }
        };
        let (codes, user) = (RecoveryCodes::generate().unwrap(), UserId::generate().unwrap());
        let stored = codes.to_stored(&key(7, 1), user).unwrap();
        assert_eq!((stored.key.kid().unwrap(), stored.macs.len()), (key(7, 1).kid, COUNT));
        let own = stored.key.open(&key(7, 1), user).unwrap();
        assert!(codes.0[3].matching(&own, user, stored.macs[3].as_str()).is_some());
        // Sealed with another version, it is the same key.
        let anew = own.seal(&key(8, 2), user).unwrap().open(&key(8, 2), user).unwrap();
        assert!(codes.0[3].matching(&anew, user, stored.macs[3].as_str()).is_some());
        assert!(stored.key.open(&key(7, 2), user).is_err());
        assert!(stored.key.open(&key(7, 1), UserId::generate().unwrap()).is_err());
        let as_totp = SealedTotpSecret::from_stored(stored.key.as_bytes().to_vec());
        assert!(as_totp.open(&key(7, 1), user).is_err());
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
