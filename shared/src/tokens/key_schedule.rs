//! The schedule of the signing keys: when each key signs, and until when it verifies. Secrets Manager keeps the
//! schedule; its public half is the key set, which everybody may read.
//!
//! A new key is published long before it signs, so that a verifier with a copy of the key set can always verify a
//! token. An old key stays published until its last token has expired. Both rules depend only on time and not on the
//! order in which processes run: a rotation writes the whole schedule, and every reader compares it with its clock.

use std::{fmt, time::Duration};

use jsonwebtoken::jwk::Jwk;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    base::time::Timestamp,
    tokens::keys::{InvalidKey, SigningAlgorithm, SigningKey, VerifyingKey},
};

/// The time for which our `Cache-Control` lets others keep a copy of the key set (docs/threats.md#j8).
pub const JWKS_MAX_AGE: Duration = Duration::from_mins(5);

/// The time for which API Gateway's JWT authorizer may keep a copy, whatever `Cache-Control` says (AWS, "Control access
/// to HTTP APIs with JWT authorizers").
const FOREIGN_CACHE: Duration = Duration::from_hours(2);

/// A margin for our own copies of the table's item, copies of copies, clocks that differ, and the steps of a rotation.
const MARGIN: Duration = Duration::from_mins(10);

/// The time for which a new key is published before it signs (docs/threats.md#j10).
pub const PUBLISHED_BEFORE: Duration = FOREIGN_CACHE.saturating_add(JWKS_MAX_AGE).saturating_add(MARGIN);

/// The part of [`PUBLISHED_BEFORE`] that must be left when the new key is published. The steps before may take the
/// rest.
const LEFT_WHEN_PUBLISHED: Duration = PUBLISHED_BEFORE.saturating_sub(Duration::from_mins(5));

/// The part of [`PUBLISHED_BEFORE`] that must be left when the signers can read the new key. A signer that cannot read
/// it may use an older copy for [`PUBLISHED_BEFORE`], and the old key must not have retired by then.
const LEFT_WHEN_FINISHED: Duration = Duration::from_hours(1);

/// The time for which a key stays published after its successor starts to sign: the greatest lifetime of its last token
/// (RFC 9700 section 2.2, and the bound of `ACCESS_TOKEN_TTL_SECONDS`) and the delay that caches of others may cause
/// (docs/threats.md#j10).
pub const PUBLISHED_AFTER: Duration = FOREIGN_CACHE.saturating_add(Duration::from_mins(15)).saturating_add(MARGIN);

/// The public part of a scheduled key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PublishedKey {
    /// The public key.
    #[serde(rename = "jwk")]
    pub key: VerifyingKey,
    /// The time from which the key signs, in Unix seconds.
    pub signs_from: u64,
    /// The time from which tokens signed with the key are refused, in Unix seconds; `None` while it has no successor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<u64>,
}

impl PublishedKey {
    /// Returns whether tokens signed with the key are accepted at `now`.
    pub fn verifies(&self, now: Timestamp) -> bool {
        self.retires_at.is_none_or(|end| now.unix_seconds() < end)
    }

    fn may_sign(&self, now: Timestamp) -> bool {
        self.verifies(now) && self.signs_from <= now.unix_seconds()
    }
}

impl From<VerifyingKey> for Jwk {
    fn from(key: VerifyingKey) -> Self {
        key.jwk().clone()
    }
}

impl TryFrom<Jwk> for VerifyingKey {
    type Error = InvalidKey;

    fn try_from(jwk: Jwk) -> Result<Self, InvalidKey> {
        Self::from_jwk(&jwk)
    }
}

/// The public half of a schedule: the item `KEYS` / `JWKS` in the table.
#[derive(Clone, Debug)]
pub struct KeySet {
    /// The edition of the schedule. An earlier edition never replaces a later one.
    pub generation: u64,
    /// The keys of the schedule, including those that have not signed yet.
    pub keys: Vec<PublishedKey>,
}

impl KeySet {
    /// Returns the key with this `kid` if tokens signed with it are accepted at `now`.
    pub fn find(&self, kid: &str, now: Timestamp) -> Option<&VerifyingKey> {
        self.verifying(now).find(|key| key.kid() == kid)
    }

    /// Returns the keys whose tokens are accepted at `now`.
    pub fn verifying(&self, now: Timestamp) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter().filter(move |key| key.verifies(now)).map(|key| &key.key)
    }
}

/// A key of the schedule, with its private half as long as it may sign.
#[derive(Clone, Serialize, Deserialize)]
struct ScheduledKey {
    #[serde(flatten)]
    public: PublishedKey,
    /// The private key, PKCS#8 DER in base64; `None` once a successor signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private_key: Option<Zeroizing<String>>,
}

/// A new key for a schedule.
pub struct NewKey {
    /// The algorithm of the key.
    pub algorithm: SigningAlgorithm,
    /// The private key, PKCS#8 DER in base64.
    pub private_key: Zeroizing<String>,
}

/// All keys with their times and private halves: the content of the secret of the signing keys.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct KeySchedule {
    /// The edition, which every change raises. A newly created secret has neither an edition nor keys.
    #[serde(default)]
    generation: u64,
    /// The keys, in the order in which they sign.
    #[serde(default)]
    keys: Vec<ScheduledKey>,
}

/// The error for a secret that does not have the format we write. Its text never repeats the secret.
#[derive(Debug, thiserror::Error)]
#[error("the secret of the signing keys is not in the format of `rotate-keys` (line {line}, column {column})")]
pub struct MalformedSchedule {
    line: usize,
    column: usize,
}

impl fmt::Debug for KeySchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySchedule").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl KeySchedule {
    /// Reads a schedule from the text of the secret.
    pub fn from_json(text: &str) -> Result<Self, MalformedSchedule> {
        serde_json::from_str(text).map_err(|error| MalformedSchedule { line: error.line(), column: error.column() })
    }

    /// Returns the text of the secret.
    pub fn to_json(&self) -> Result<Zeroizing<String>, serde_json::Error> {
        serde_json::to_string(self).map(Zeroizing::new)
    }

    /// Returns the edition.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the public half of the schedule.
    pub fn key_set(&self) -> KeySet {
        KeySet { generation: self.generation, keys: self.keys.iter().map(|key| key.public.clone()).collect() }
    }

    /// Returns the private keys, each with the time from which it signs.
    pub fn signing_keys(&self) -> Result<SigningKeys, InvalidKey> {
        let with_private = self.keys.iter().filter_map(|key| Some((&key.public, key.private_key.as_ref()?)));
        let keys = with_private.map(|(public, private_key)| {
            Ok((public.clone(), SigningKey::from_base64(public.key.algorithm(), private_key)?))
        });
        keys.collect::<Result<_, _>>().map(SigningKeys)
    }

    /// Returns the schedule with the new key added, as edition `generation`. The new key signs after
    /// [`PUBLISHED_BEFORE`], or at once if no key signs now.
    ///
    /// The result omits keys that have retired, and private keys whose successor already signs.
    pub fn with(&self, new: NewKey, generation: u64, now: Timestamp) -> Result<Self, InvalidKey> {
        let key = SigningKey::from_base64(new.algorithm, &new.private_key)?.verifying().clone();
        let signs_from = if self.signs(now) { now.plus(PUBLISHED_BEFORE) } else { now };
        let mut keys = self.keys.clone();
        keys.push(ScheduledKey {
            public: PublishedKey { key, signs_from: signs_from.unix_seconds(), retires_at: None },
            private_key: Some(new.private_key),
        });
        Ok(Self { generation, keys }.settled(now))
    }

    /// Returns the schedule without a key, as edition `generation`, or `None` if it has no such key. If the removed key
    /// signed, the key that waits next signs at once. If no key waits, none signs, and the caller must add a new one.
    pub fn without(&self, kid: &str, generation: u64, now: Timestamp) -> Option<Self> {
        let mut left = Self { generation, keys: self.keys.clone() };
        left.keys.retain(|key| key.public.key.kid() != kid);
        if left.keys.len() == self.keys.len() {
            return None;
        }
        if !left.signs(now)
            && let Some(waiting) = left.keys.iter_mut().find(|key| key.private_key.is_some())
        {
            waiting.public.signs_from = now.unix_seconds();
        }
        Some(left.settled(now))
    }

    /// Returns the same schedule as another edition.
    #[must_use]
    pub fn renumbered(&self, generation: u64) -> Self {
        Self { generation, keys: self.keys.clone() }
    }

    /// Returns the key set to publish before this schedule replaces `current`: the keys of `current` and the new keys.
    /// No key retires earlier than in `current`, because this schedule may never replace it.
    pub fn announcement(&self, current: &Self) -> KeySet {
        let mut keys = current.key_set().keys;
        let is_new = |key: &&PublishedKey| !current.keys.iter().any(|known| known.public.key.kid() == key.key.kid());
        keys.extend(self.key_set().keys.iter().filter(is_new).cloned());
        KeySet { generation: self.generation, keys }
    }

    /// Returns whether the new key, published at `now`, will be in every copy of the key set before it signs.
    pub fn is_announced_in_time(&self, current: &Self, now: Timestamp) -> bool {
        self.starts_after(current, now, LEFT_WHEN_PUBLISHED)
    }

    /// Returns whether the new key signs late enough after `now` that no signer with an old copy uses a key that has
    /// retired.
    pub fn is_in_time(&self, current: &Self, now: Timestamp) -> bool {
        self.starts_after(current, now, LEFT_WHEN_FINISHED)
    }

    fn starts_after(&self, current: &Self, now: Timestamp, notice: Duration) -> bool {
        let newest = self.keys.last().map(|key| key.public.signs_from);
        // The first key has no predecessor, so it need not wait.
        !current.signs(now) || newest.is_some_and(|signs_from| signs_from >= now.plus(notice).unix_seconds())
    }

    /// Returns whether a key of the schedule signs at `now`.
    pub fn signs(&self, now: Timestamp) -> bool {
        self.keys.iter().any(|key| key.private_key.is_some() && key.public.may_sign(now))
    }

    /// Sets the end of each key by the start of its successor, drops private keys whose successor signs, and drops
    /// retired keys.
    fn settled(mut self, now: Timestamp) -> Self {
        let mut successor: Option<u64> = None;
        for key in self.keys.iter_mut().rev() {
            let end = successor.map(|signs_from| {
                let end = Timestamp::from_unix_seconds(signs_from).plus(PUBLISHED_AFTER).unix_seconds();
                key.public.retires_at.map_or(end, |earlier| earlier.min(end))
            });
            key.public.retires_at = end;
            if successor.is_some_and(|signs_from| signs_from <= now.unix_seconds()) {
                key.private_key = None;
            }
            successor = Some(key.public.signs_from);
        }
        self.keys.retain(|key| key.public.verifies(now));
        self
    }
}

/// The private keys of a schedule, ready to sign.
#[derive(Clone, Debug)]
pub struct SigningKeys(Vec<(PublishedKey, SigningKey)>);

impl SigningKeys {
    /// Returns the key that signs at `now`.
    pub fn at(&self, now: Timestamp) -> Option<&SigningKey> {
        self.0.iter().rfind(|(public, _)| public.may_sign(now)).map(|(_, key)| key)
    }

    /// Returns all keys, including those that do not sign yet.
    pub fn all(&self) -> impl Iterator<Item = &SigningKey> {
        self.0.iter().map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const DAY: Duration = Duration::from_hours(24);

    fn new_key() -> NewKey {
        NewKey { algorithm: SigningAlgorithm::Es256, private_key: SigningKey::generate_es256().unwrap() }
    }

    /// Returns a schedule that was rotated at these times.
    fn rotated(times: &[Timestamp]) -> KeySchedule {
        let schedule = KeySchedule::default();
        times.iter().fold(schedule, |schedule, now| schedule.with(new_key(), schedule.generation + 1, *now).unwrap())
    }

    fn signer(schedule: &KeySchedule, now: Timestamp) -> Option<String> {
        schedule.signing_keys().unwrap().at(now).map(|key| key.verifying().kid().to_owned())
    }

    fn kids(schedule: &KeySchedule) -> Vec<String> {
        schedule.keys.iter().map(|key| key.public.key.kid().to_owned()).collect()
    }

    #[test]
    fn a_secret_that_was_just_made_has_no_keys() {
        let schedule = KeySchedule::from_json(r#"{"bootstrap": "anything"}"#).unwrap();
        assert!(!schedule.signs(START) && schedule.key_set().keys.is_empty());
        assert!(KeySchedule::from_json("3").is_err());
    }

    #[test]
    fn the_first_key_signs_at_once_and_the_second_when_everybody_knows_it() {
        assert!(PUBLISHED_BEFORE >= FOREIGN_CACHE + JWKS_MAX_AGE);
        let second = START.plus(DAY);
        let schedule = rotated(&[START, second]);
        let [first, new] = &kids(&schedule)[..] else { panic!() };
        let switch = second.plus(PUBLISHED_BEFORE);
        let before = switch.minus(Duration::from_secs(1));
        assert_eq!(signer(&schedule, second).as_ref(), Some(first));
        assert_eq!(signer(&schedule, before).as_ref(), Some(first));
        assert_eq!(signer(&schedule, switch).as_ref(), Some(new));

        let set = schedule.key_set();
        assert!(set.find(new, second).is_some(), "published before it signs");
        let end = switch.plus(PUBLISHED_AFTER);
        assert!(set.find(first, end.minus(Duration::from_secs(1))).is_some());
        assert!(set.find(first, end).is_none(), "by the clock alone, even before a rotation drops the key");
        assert!(set.find(new, end.plus(DAY)).is_some());
    }

    #[test]
    fn a_rotation_forgets_what_nobody_needs() {
        let schedule = rotated(&[START, START.plus(DAY), START.plus(DAY * 2)]);
        assert_eq!(schedule.keys.len(), 2, "the first has retired");
        let private: Vec<_> = schedule.keys.iter().map(|key| key.private_key.is_some()).collect();
        assert_eq!(private, [true, true], "the second signs until the third does");
        let schedule = schedule.with(new_key(), 9, START.plus(DAY * 2).plus(PUBLISHED_BEFORE)).unwrap();
        let private: Vec<_> = schedule.keys.iter().map(|key| key.private_key.is_some()).collect();
        assert_eq!(private, [false, true, true], "the second only verifies");
    }

    #[test]
    fn rotations_in_a_row_each_wait_their_turn() {
        let hour = Duration::from_hours(1);
        let schedule = rotated(&[START, START.plus(hour), START.plus(hour * 2)]);
        let [first, second, third] = &kids(&schedule)[..] else { panic!() };
        let switch = START.plus(hour).plus(PUBLISHED_BEFORE);
        assert_eq!(signer(&schedule, START.plus(hour * 2)).as_ref(), Some(first));
        assert_eq!(signer(&schedule, switch).as_ref(), Some(second));
        assert_eq!(signer(&schedule, switch.plus(hour)).as_ref(), Some(third));
    }

    #[test]
    fn a_key_that_is_removed_is_gone_and_another_signs() {
        let now = START.plus(DAY);
        let schedule = rotated(&[START, now]);
        let [first, second] = &kids(&schedule)[..] else { panic!() };

        let left = schedule.without(first, 3, now).unwrap();
        assert_eq!((kids(&left), signer(&left, now).as_ref()), (vec![second.clone()], Some(second)));

        let left = schedule.without(second, 3, now).unwrap();
        assert_eq!(signer(&left, now.plus(DAY)).as_ref(), Some(first), "it does not retire without a successor");
        assert!(schedule.without("another", 3, now).is_none());

        let none = left.without(first, 4, now).unwrap();
        assert!(!none.signs(now));
        assert!(none.with(new_key(), 5, now).unwrap().signs(now));
    }

    #[test]
    fn it_reads_back_and_prints_nothing() {
        let schedule = rotated(&[START]);
        let text = schedule.to_json().unwrap();
        let read = KeySchedule::from_json(&text).unwrap();
        assert_eq!(signer(&read, START), signer(&schedule, START));
        assert_eq!(format!("{read:?}"), "KeySchedule { generation: 1, .. }");
        let private_key = schedule.keys[0].private_key.as_ref().unwrap();
        let public = serde_json::to_string(&read.key_set().keys).unwrap();
        assert!(text.contains(private_key.as_str()) && !public.contains(private_key.as_str()));
        let broken = text.replace("\"generation\":1", "\"generation\":\"a secret\"");
        assert!(!KeySchedule::from_json(&broken).unwrap_err().to_string().contains("a secret"));
    }
}
