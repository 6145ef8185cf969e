//! The master secret (`SECRET_KEY_ARN`) and its versions: which of its keys writes, which only read, and what each is
//! derived into (docs/adr/0021-versions-of-the-master-secret.md).

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{aead, hkdf, hmac};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    base::{
        kid::{Kid, Versioned},
        random::{self, RandomError},
        time::Timestamp,
    },
    tokens::keys::InvalidKey,
};

/// The least length of a key, in bytes: the strength of HMAC-SHA-256.
pub const SECRET_LENGTH: usize = 32;

/// The time for which a new key is written down before it writes: twice the five minutes for which functions use a copy
/// of the secret, so that none meets a key that it does not know, even if clocks differ.
pub const ANNOUNCED_BEFORE: Duration = Duration::from_mins(10);

/// The part of [`ANNOUNCED_BEFORE`] that must be left when functions can read the new key: the age of a copy, and two
/// minutes for clocks that differ.
pub const LEFT_WHEN_READABLE: Duration = Duration::from_mins(7);

/// The keys that are derived from one version of the master secret, one per use, so that a key that leaks or is misused
/// in one place is worth nothing in another.
pub struct Keys {
    /// The version.
    pub kid: Kid,
    /// Whether the version has leaked: it verifies nothing any more, and only opens what must not be lost.
    pub has_leaked: bool,
    /// The time from which the version writes, in Unix seconds.
    from: u64,
    /// The key that hashes one-time codes.
    pub otp: Versioned<hmac::Key>,
    /// The key that authenticates refresh tokens.
    pub refresh_token: Versioned<hmac::Key>,
    /// The key that encrypts the identifiers of registrations that wait for their code.
    pub activation: Versioned<aead::LessSafeKey>,
    /// The key that encrypts the secrets of second factors.
    pub totp: Versioned<aead::LessSafeKey>,
    /// The key that derives recovery codes from a seed, so that a lost response can be repeated.
    pub recovery_code: Versioned<hmac::Key>,
    /// The key that hashes phones and addresses, for the audit log and for limits.
    pub audit: Versioned<hmac::Key>,
}

impl Keys {
    fn derive(version: &MasterKey) -> Result<Self, InvalidKey> {
        let master = version.bytes()?;
        let hmac = |usage: &[u8]| Ok(versioned(version.kid, derive(&master, usage, hmac::HMAC_SHA256)?));
        let aead = |usage: &[u8]| {
            let key = derive::<_, aead::UnboundKey>(&master, usage, &aead::AES_256_GCM)?;
            Ok(versioned(version.kid, aead::LessSafeKey::new(key)))
        };
        Ok(Self {
            kid: version.kid,
            has_leaked: version.leaked,
            from: version.from,
            otp: hmac(b"latchkey otp v1")?,
            refresh_token: hmac(b"latchkey refresh v1")?,
            activation: aead(b"latchkey activation v1")?,
            totp: aead(b"latchkey totp v1")?,
            recovery_code: hmac(b"latchkey recovery seed v1")?,
            audit: hmac(b"latchkey audit v1")?,
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.kid)
    }
}

fn versioned<K>(kid: Kid, key: K) -> Versioned<K> {
    Versioned { kid, key }
}

/// Derives a key by HKDF-SHA-256 (RFC 5869), with the use as `info`.
fn derive<L, K>(master: &[u8], usage: &[u8], length: L) -> Result<K, InvalidKey>
where
    L: hkdf::KeyType,
    K: for<'a> From<hkdf::Okm<'a, L>>,
{
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]);
    let info = [usage];
    let pseudorandom = salt.extract(master);
    let key = pseudorandom.expand(&info, length).map_err(|_| InvalidKey::TooShort)?;
    Ok(key.into())
}

/// The keys that a request makes things with. To verify or to open something, ask the keyring for the keys of the
/// version that it names.
#[derive(Clone, Debug)]
pub struct Secret {
    /// The keys that everything new is made with.
    pub writing: Arc<Keys>,
    /// The keys of what is counted under a pseudonym: the oldest version that may be used. A limit must not start again
    /// because a key was rotated.
    pub counting: Arc<Keys>,
}

/// The derived keys of every version.
#[derive(Debug)]
pub struct Versions(Vec<Arc<Keys>>);

/// What is known of a version.
#[derive(Clone, Debug)]
pub enum Version {
    /// These are its keys.
    Known(Arc<Keys>),
    /// It was retired. Versions are counted up, so that one below the newest that is missing will not come back.
    Retired,
    /// It is newer than every one that is known.
    Unknown,
}

impl Versions {
    /// Reads the master secret and derives the keys of every version.
    pub fn from_text(text: &str) -> Result<Self, InvalidKey> {
        MasterSecret::from_text(text)?.derive()
    }

    /// Returns the keys that write and count at `now`.
    ///
    /// The last version writes whose time has come. One that has leaked does not, even if the clock says that the time
    /// of its successor has not come.
    pub fn at(&self, now: Timestamp) -> Result<Secret, InvalidKey> {
        let sound = || self.0.iter().filter(|keys| !keys.has_leaked);
        let first = sound().next().ok_or(InvalidKey::NotAMasterSecret)?;
        let writing = sound().rfind(|keys| keys.from <= now.unix_seconds()).unwrap_or(first);
        Ok(Secret { writing: writing.clone(), counting: first.clone() })
    }

    /// Returns what is known of a version.
    pub fn find(&self, kid: Kid) -> Version {
        match self.0.iter().find(|keys| keys.kid == kid) {
            Some(keys) => Version::Known(keys.clone()),
            None if self.0.last().is_some_and(|newest| kid < newest.kid) => Version::Retired,
            None => Version::Unknown,
        }
    }
}

/// A version of the master secret, as Secrets Manager keeps it.
#[derive(Clone, Serialize, Deserialize)]
struct MasterKey {
    kid: Kid,
    /// At least [`SECRET_LENGTH`] random bytes in base64.
    key: Zeroizing<String>,
    /// The time from which the version writes, in Unix seconds.
    #[serde(default)]
    from: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    leaked: bool,
}

impl MasterKey {
    fn generate(kid: Kid, from: u64) -> Result<Self, RandomError> {
        let bytes = Zeroizing::new(random::bytes::<SECRET_LENGTH>()?);
        Ok(Self { kid, key: Zeroizing::new(BASE64_STANDARD.encode(*bytes)), from, leaked: false })
    }

    fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(&*self.key).map_err(|_| InvalidKey::NotBase64)?);
        if bytes.len() < SECRET_LENGTH { Err(InvalidKey::TooShort) } else { Ok(bytes) }
    }
}

/// All versions of the master secret: the content of the secret of `SECRET_KEY_ARN`.
#[derive(Clone, Serialize, Deserialize)]
pub struct MasterSecret {
    /// The edition, which every change raises by one.
    generation: u64,
    /// The versions, oldest first.
    keys: Vec<MasterKey>,
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterSecret").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// A version of the master secret, without its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionSummary {
    /// The version.
    pub kid: Kid,
    /// The time from which it writes; the epoch of Unix for the first.
    pub from: Timestamp,
    /// Whether it has leaked.
    pub has_leaked: bool,
    /// The time from which it no longer writes: that from which a later one that has not leaked does.
    pub until: Option<Timestamp>,
}

/// The reason why the secret is not changed.
#[derive(Debug, thiserror::Error)]
pub enum SecretChange {
    /// There is no such version.
    #[error("there is no key {0}: `admin secret status` lists the keys")]
    NoSuchKey(Kid),
    /// There are no numbers left.
    #[error("every number from 1 to 255 was given to a key: make a new secret (docs/OPERATIONS.md)")]
    NoNumberLeft,
    /// The operating system returned no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl MasterSecret {
    /// Reads the text of the secret. A text that is not JSON is the only key of a new stack (`GenerateSecretString`).
    pub fn from_text(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim();
        let secret = if text.starts_with('{') {
            serde_json::from_str(text).map_err(|_| InvalidKey::NotAMasterSecret)?
        } else {
            let key = MasterKey { kid: Kid::FIRST, key: Zeroizing::new(text.to_owned()), from: 0, leaked: false };
            Self { generation: 0, keys: vec![key] }
        };
        let is_counted_up = secret.keys.iter().is_sorted_by(|one, next| one.kid < next.kid);
        if is_counted_up && secret.keys.iter().any(|key| !key.leaked) {
            Ok(secret)
        } else {
            Err(InvalidKey::NotAMasterSecret)
        }
    }

    /// Returns the text of the secret.
    pub fn to_text(&self) -> Result<Zeroizing<String>, serde_json::Error> {
        serde_json::to_string(self).map(Zeroizing::new)
    }

    /// Derives the keys of every version.
    pub fn derive(&self) -> Result<Versions, InvalidKey> {
        self.keys.iter().map(|version| Keys::derive(version).map(Arc::new)).collect::<Result<_, _>>().map(Versions)
    }

    /// Returns whether this was made from `current`, and nothing has changed that since.
    pub fn follows(&self, current: &Self) -> bool {
        self.generation == current.generation + 1
    }

    /// Returns whether every function will have read this before its newest key writes.
    pub fn is_in_time(&self, now: Timestamp) -> bool {
        let newest = self.keys.last().map_or(0, |key| key.from);
        now.plus(LEFT_WHEN_READABLE).unix_seconds() <= newest
    }

    /// Returns the versions, oldest first.
    pub fn versions(&self) -> Vec<VersionSummary> {
        let of = |(at, key): (usize, &MasterKey)| {
            let later = self.keys.iter().skip(at + 1).find(|later| !later.leaked);
            VersionSummary {
                kid: key.kid,
                from: Timestamp::from_unix_seconds(key.from),
                has_leaked: key.leaked,
                until: later.map(|later| Timestamp::from_unix_seconds(later.from)),
            }
        };
        self.keys.iter().enumerate().map(of).collect()
    }

    /// Returns the secret with another key, which writes in ten minutes.
    pub fn with_new(&self, now: Timestamp) -> Result<Self, SecretChange> {
        self.with_key_from(now.plus(ANNOUNCED_BEFORE).unix_seconds())
    }

    /// Returns the secret after a leak of every key up to `newest`. If no other is left, another one writes at once.
    /// None if the secret says so already.
    pub fn after_leak(&self, newest: Kid, now: Timestamp) -> Result<Option<Self>, SecretChange> {
        if self.keys.last().is_none_or(|key| key.kid < newest) {
            return Err(SecretChange::NoSuchKey(newest));
        }
        let leaked = |key: &MasterKey| key.kid <= newest;
        if self.keys.iter().all(|key| key.leaked || !leaked(key)) {
            return Ok(None);
        }
        let mut next = self.clone();
        let now = now.unix_seconds();
        for key in &mut next.keys {
            key.leaked |= leaked(key);
            // A key that was announced takes over at once.
            key.from = key.from.min(now);
        }
        if next.keys.iter().all(|key| key.leaked) {
            next = next.with_key_from(now)?;
        }
        Ok(Some(Self { generation: self.generation + 1, ..next }))
    }

    /// Returns the secret without this key.
    pub fn without(&self, kid: Kid) -> Result<Self, SecretChange> {
        let keys: Vec<_> = self.keys.iter().filter(|key| key.kid != kid).cloned().collect();
        if keys.len() == self.keys.len() {
            return Err(SecretChange::NoSuchKey(kid));
        }
        Ok(Self { generation: self.generation + 1, keys })
    }

    fn with_key_from(&self, from: u64) -> Result<Self, SecretChange> {
        let newest = self.keys.last().map(|key| key.kid);
        let kid = newest.map_or(Some(Kid::FIRST), Kid::next).ok_or(SecretChange::NoNumberLeft)?;
        let mut keys = self.keys.clone();
        keys.push(MasterKey::generate(kid, from)?);
        Ok(Self { generation: self.generation + 1, keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn kid(number: u8) -> Kid {
        Kid::from_byte(number).unwrap()
    }

    /// The secret of a new stack.
    fn first() -> MasterSecret {
        MasterSecret::from_text(&"abcd".repeat(16)).unwrap()
    }

    fn writes(secret: &MasterSecret, at: Timestamp) -> u8 {
        secret.derive().unwrap().at(at).unwrap().writing.kid.as_byte()
    }

    #[test]
    fn a_text_is_the_first_key_and_reads_back_as_versions() {
        let next = first().with_new(NOW).unwrap();
        let read = MasterSecret::from_text(&next.to_text().unwrap()).unwrap();
        assert_eq!(read.versions(), next.versions());
        assert!(next.follows(&first()) && !next.with_new(NOW).unwrap().follows(&first()));
        let same = |one: &MasterSecret, other: &MasterSecret| {
            let tag = |secret: &MasterSecret| {
                let keys = secret.derive().unwrap().at(NOW).unwrap().writing;
                hmac::sign(&keys.otp.key, b"x").as_ref().to_vec()
            };
            tag(one) == tag(other)
        };
        assert!(same(&first(), &read), "the first key is what it was as a text");
    }

    #[test]
    fn what_is_no_master_secret_is_refused_by_reason() {
        let refused = |text: &str| Versions::from_text(text).unwrap_err();
        assert_eq!(refused("not base64!"), InvalidKey::NotBase64);
        assert_eq!(refused("c2hvcnQ="), InvalidKey::TooShort);
        for text in [
            "{",
            "{}",
            r#"{"generation": 1, "keys": []}"#,
            r#"{"generation": 1, "keys": [{"kid": 0, "key": "x"}]}"#,
            r#"{"generation": 1, "keys": [{"kid": 1, "key": "x", "leaked": true}]}"#,
            r#"{"generation": 1, "keys": [{"kid": 2, "key": "x"}, {"kid": 1, "key": "x"}]}"#,
            r#"{"generation": 1, "keys": [{"kid": 1, "key": "x"}, {"kid": 1, "key": "x"}]}"#,
        ] {
            assert_eq!(refused(text), InvalidKey::NotAMasterSecret, "{text}");
        }
    }

    #[test]
    fn a_new_key_writes_after_ten_minutes_and_the_oldest_one_counts() {
        let next = first().with_new(NOW).unwrap();
        let switch = NOW.plus(ANNOUNCED_BEFORE);
        assert_eq!(writes(&next, NOW), 1);
        assert_eq!(writes(&next, Timestamp::from_unix_millis(switch.unix_millis() - 1)), 1);
        assert_eq!(writes(&next, switch), 2);
        let versions = next.derive().unwrap();
        assert_eq!(versions.at(switch).unwrap().counting.kid, kid(1));
        let latest = ANNOUNCED_BEFORE.checked_sub(LEFT_WHEN_READABLE).unwrap();
        assert!(next.is_in_time(NOW.plus(latest)));
        assert!(!next.is_in_time(NOW.plus(latest + Duration::from_secs(1))));
        assert!(matches!(versions.find(kid(2)), Version::Known(_)));
        assert!(matches!(versions.find(kid(3)), Version::Unknown));
        let without = next.without(kid(1)).unwrap().derive().unwrap();
        assert!(matches!(without.find(kid(1)), Version::Retired));
        assert_eq!(without.at(NOW).unwrap().writing.kid, kid(2), "whatever the clock says, one writes");
    }

    #[test]
    fn after_a_leak_another_key_writes_at_once_whatever_the_clock_says() {
        let slow = Timestamp::from_unix_seconds(NOW.unix_seconds() - 60);
        let after = first().after_leak(kid(1), NOW).unwrap().unwrap();
        assert_eq!((writes(&after, NOW), writes(&after, slow)), (2, 2));
        assert_eq!(after.derive().unwrap().at(NOW).unwrap().counting.kid, kid(2));
        assert!(after.follows(&first()));
        assert!(after.after_leak(kid(1), NOW).unwrap().is_none(), "it is recorded");
        assert!(after.after_leak(kid(3), NOW).is_err());
        // The key that was announced takes over.
        let announced = first().with_new(NOW).unwrap();
        let after = announced.after_leak(kid(1), NOW).unwrap().unwrap();
        assert_eq!((writes(&after, NOW), after.versions().len()), (2, 2));
        let after = announced.after_leak(kid(2), NOW).unwrap().unwrap();
        assert_eq!((writes(&after, NOW), after.versions().len()), (3, 3));
    }

    #[test]
    fn numbers_are_counted_up_and_end() {
        let mut secret = first();
        for _ in 1..255 {
            secret = secret.with_new(NOW).unwrap();
        }
        assert_eq!(secret.versions().last().unwrap().kid, kid(255));
        assert!(matches!(secret.with_new(NOW), Err(SecretChange::NoNumberLeft)));
    }

    #[test]
    fn one_master_gives_different_keys_for_different_uses() {
        let keys = first().derive().unwrap().at(NOW).unwrap().writing;
        assert_ne!(hmac::sign(&keys.otp.key, b"x").as_ref(), hmac::sign(&keys.refresh_token.key, b"x").as_ref());
    }

    #[test]
    fn nothing_prints_a_key() {
        let secret = first();
        let (versions, kept) = (secret.derive().unwrap(), secret.to_text().unwrap());
        let printed =
            format!("{secret:?} {versions:?} {:?} {:?}", versions.at(NOW), versions.at(NOW).unwrap().writing.otp);
        assert!(kept.contains("abcdabcd") && !printed.contains("abcdabcd"), "{printed}");
    }
}
