//! The schedule of the signing keys: when each key signs, and until when it verifies. Secrets Manager keeps the
//! schedule; its public half is the key set, which everybody may read.
//!
//! A new key is published long before it signs, so that a verifier with a copy of the key set can always verify a
//! token. An old key stays published until its last token has expired. Both rules depend only on time and not on the
//! order in which processes run: a rotation writes the whole schedule, and every reader compares it with its clock.

use std::{collections::BTreeSet, fmt, time::Duration};

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
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    /// The edition of the schedule. An earlier edition never replaces a later one.
    pub generation: u64,
    /// The keys of the schedule, including those that have not signed yet.
    pub keys: Vec<PublishedKey>,
    /// The deny list: every key that was ever removed. Nothing takes a key off it.
    pub removed: BTreeSet<String>,
    /// Keys that have to be removed and sign until another key can be stored.
    pub leaving: BTreeSet<String>,
}

impl KeySet {
    /// Returns the key with this `kid` if tokens signed with it are accepted at `now`.
    pub fn find(&self, kid: &str, now: Timestamp) -> Option<&VerifyingKey> {
        self.verifying(now).find(|key| key.kid() == kid)
    }

    /// Returns the keys whose tokens are accepted at `now`.
    pub fn verifying(&self, now: Timestamp) -> impl Iterator<Item = &VerifyingKey> {
        self.accepted(now).map(|key| &key.key)
    }

    /// Returns since when this key signs, in Unix seconds, if it may sign at `now`.
    fn signs_since(&self, kid: &str, now: Timestamp) -> Option<u64> {
        self.accepted(now).find(|key| key.key.kid() == kid && key.may_sign(now)).map(|key| key.signs_from)
    }

    fn accepted(&self, now: Timestamp) -> impl Iterator<Item = &PublishedKey> {
        self.keys.iter().filter(move |key| key.verifies(now) && !self.removed.contains(key.key.kid()))
    }

    /// Returns whether the set lists a key, whatever its times.
    pub fn lists(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.key.kid() == kid)
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

impl ScheduledKey {
    fn kid(&self) -> &str {
        self.public.key.kid()
    }
}

/// A new key for a schedule.
pub struct NewKey {
    /// The algorithm of the key.
    pub algorithm: SigningAlgorithm,
    /// The private key, PKCS#8 DER in base64.
    pub private_key: Zeroizing<String>,
}

impl NewKey {
    fn scheduled(self, signs_from: u64) -> Result<ScheduledKey, InvalidKey> {
        let key = SigningKey::from_base64(self.algorithm, &self.private_key)?.verifying().clone();
        let public = PublishedKey { key, signs_from, retires_at: None };
        Ok(ScheduledKey { public, private_key: Some(self.private_key) })
    }
}

/// The start of a spare key: it signs when the table says so.
const NEVER: u64 = u64::MAX;

/// All keys with their times and private halves: the content of the secret of the signing keys.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct KeySchedule {
    /// The edition, which every change raises. A newly created secret has neither an edition nor keys.
    #[serde(default)]
    generation: u64,
    /// The edition that this one replaces, and no other.
    #[serde(default)]
    replaces: u64,
    /// The keys, in the order in which they sign.
    #[serde(default)]
    keys: Vec<ScheduledKey>,
    /// Keys that nobody has seen, the newest last. One signs as soon as the table publishes it: when a removal leaves
    /// no other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    spare: Vec<ScheduledKey>,
    /// The deny list: every key that was ever removed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    removed: BTreeSet<String>,
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

    /// Returns the edition that this one was made from.
    pub fn replaces(&self) -> u64 {
        self.replaces
    }

    /// Returns the deny list.
    pub fn removed(&self) -> &BTreeSet<String> {
        &self.removed
    }

    /// Returns whether the schedule has this key, spare keys included.
    pub fn has(&self, kid: &str) -> bool {
        self.keys.iter().chain(&self.spare).any(|key| key.kid() == kid)
    }

    /// Returns whether the spare key that would sign next is of this algorithm.
    pub fn has_spare(&self, algorithm: SigningAlgorithm) -> bool {
        self.spare.last().is_some_and(|key| key.public.key.algorithm() == algorithm)
    }

    /// Returns every key, spare keys included.
    pub fn kids(&self) -> BTreeSet<String> {
        self.keys.iter().chain(&self.spare).map(|key| key.kid().to_owned()).collect()
    }

    /// Returns the public half of the schedule.
    pub fn key_set(&self) -> KeySet {
        KeySet {
            generation: self.generation,
            keys: self.keys.iter().map(|key| key.public.clone()).collect(),
            removed: self.removed.clone(),
            leaving: BTreeSet::new(),
        }
    }

    /// Returns the private keys. When each of them signs is told by the key set.
    pub fn signing_keys(&self) -> Result<SigningKeys, InvalidKey> {
        let read = |keys: &[ScheduledKey]| {
            let with_private = keys.iter().filter_map(|key| Some((key, key.private_key.as_ref()?)));
            with_private
                .map(|(key, private_key)| SigningKey::from_base64(key.public.key.algorithm(), private_key))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(SigningKeys { keys: read(&self.keys)?, spare: read(&self.spare)?, removed: self.removed.clone() })
    }

    /// Returns the schedule with the new key added, as edition `generation`. The new key signs after
    /// [`PUBLISHED_BEFORE`], or at once if no key signs now.
    ///
    /// The result omits keys that have retired, and private keys whose successor already signs.
    pub fn with(&self, new: NewKey, generation: u64, now: Timestamp) -> Result<Self, InvalidKey> {
        let signs_from = if self.signs(now) { now.plus(PUBLISHED_BEFORE) } else { now };
        let mut next = Self { generation, replaces: self.generation, ..self.clone() };
        next.keys.push(new.scheduled(signs_from.unix_seconds())?);
        Ok(next.settled(now))
    }

    /// Returns the schedule with another spare key, as edition `generation`. The last two stay beside it, because a
    /// removal that runs meanwhile may have published one.
    pub fn with_spare(&self, new: NewKey, generation: u64) -> Result<Self, InvalidKey> {
        let replaces = if generation == self.generation { self.replaces } else { self.generation };
        let mut spare: Vec<_> = self.spare.iter().rev().take(2).rev().cloned().collect();
        spare.push(new.scheduled(NEVER)?);
        Ok(Self { generation, replaces, spare, ..self.clone() })
    }

    /// Returns the schedule without a key, as edition `generation`, or `None` if it has no such key.
    pub fn without(&self, kid: &str, generation: u64, now: Timestamp) -> Option<Self> {
        self.has(kid).then(|| self.without_all(&[kid.to_owned()].into(), generation, now))
    }

    /// Returns the schedule without these keys, as edition `generation`. They are on its deny list from now on.
    ///
    /// If no key signs any more, the key that waits next signs at once; if none waits, a spare key does. If there is no
    /// spare key either, none signs, and the caller must add a new one. A key that retires already does so no later.
    #[must_use]
    pub fn without_all(&self, kids: &BTreeSet<String>, generation: u64, now: Timestamp) -> Self {
        let mut left = self.clone().settled(now);
        (left.generation, left.replaces) = (generation, self.generation);
        left.removed.extend(kids.iter().cloned());
        let removed = &left.removed;
        left.keys.retain(|key| !removed.contains(key.kid()));
        left.spare.retain(|key| !removed.contains(key.kid()));
        if !left.signs(now) {
            if let Some(waiting) = left.keys.iter_mut().find(|key| key.private_key.is_some()) {
                waiting.public.signs_from = now.unix_seconds();
            } else if let Some(mut spare) = left.spare.pop() {
                spare.public.signs_from = now.unix_seconds();
                left.keys.push(spare);
            }
        }
        left.settled(now)
    }

    /// Returns the key set to publish before this schedule replaces `current`: the keys of `current` and the new keys.
    /// No key retires earlier than in `current`, because this schedule may never replace it.
    pub fn announcement(&self, current: &Self) -> KeySet {
        let mut keys = current.key_set().keys;
        let is_new = |key: &&PublishedKey| !current.keys.iter().any(|known| known.public.key.kid() == key.key.kid());
        keys.extend(self.key_set().keys.iter().filter(is_new).cloned());
        let removed = self.removed.union(&current.removed).cloned().collect();
        KeySet { generation: self.generation, keys, removed, leaving: BTreeSet::new() }
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
    /// retired keys. A key that retires keeps its end, even if its successor is gone.
    fn settled(mut self, now: Timestamp) -> Self {
        let mut successor: Option<u64> = None;
        for key in self.keys.iter_mut().rev() {
            let earlier = key.public.retires_at.filter(|_| key.private_key.is_none());
            let end = successor.map_or(earlier, |signs_from| {
                let end = Timestamp::from_unix_seconds(signs_from).plus(PUBLISHED_AFTER).unix_seconds();
                Some(key.public.retires_at.map_or(end, |earlier| earlier.min(end)))
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
pub struct SigningKeys {
    keys: Vec<SigningKey>,
    spare: Vec<SigningKey>,
    /// The secret's deny list.
    removed: BTreeSet<String>,
}

impl SigningKeys {
    /// Returns the key that signs at `now`: of those that the key set lets sign, the one whose turn came last. So a
    /// token is never signed with a key that was removed or is not public, even if the secret says otherwise.
    pub fn at(&self, now: Timestamp, published: &KeySet) -> Option<&SigningKey> {
        let keys = self.keys.iter().chain(&self.spare).filter(|key| !self.removed.contains(key.verifying().kid()));
        let allowed = keys.filter_map(|key| Some((published.signs_since(key.verifying().kid(), now)?, key)));
        allowed.max_by_key(|(since, _)| *since).map(|(_, key)| key)
    }

    /// Returns all keys, including those that do not sign yet, without the spare ones.
    pub fn all(&self) -> impl Iterator<Item = &SigningKey> {
        self.keys.iter()
    }

    /// Returns whether the table's deny list lacks an entry of the secret's: secret and table disagree.
    pub fn was_forgotten_by(&self, published: &KeySet) -> bool {
        !self.removed.is_subset(&published.removed)
    }

    /// Returns whether one of the keys was removed by the table's word: secret and table disagree.
    pub fn has_removed(&self, published: &KeySet) -> bool {
        self.keys.iter().chain(&self.spare).any(|key| published.removed.contains(key.verifying().kid()))
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
        schedule.signing_keys().unwrap().at(now, &schedule.key_set()).map(|key| key.verifying().kid().to_owned())
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
    fn a_key_that_retires_keeps_its_end_when_its_successor_is_removed() {
        let schedule = rotated(&[START, START.plus(DAY)]);
        let [old, signer_kid] = &kids(&schedule)[..] else { panic!() };
        let now = START.plus(DAY).plus(PUBLISHED_BEFORE);
        let end = schedule.keys[0].public.retires_at.unwrap();
        assert_eq!(end, now.plus(PUBLISHED_AFTER).unix_seconds());

        let left = schedule.without(signer_kid, 3, now).unwrap();
        assert_eq!(kids(&left), [old.as_str()]);
        assert_eq!(left.keys[0].public.retires_at, Some(end), "no later");
        assert!(!left.signs(now), "and it does not sign again");
        let next = left.with(new_key(), 4, now.plus(Duration::from_mins(10))).unwrap();
        assert_eq!(next.keys[0].public.retires_at, Some(end), "not with another successor either");
        // Long before the turn of the second, the first one goes on without an end.
        let left = schedule.without(signer_kid, 3, START.plus(DAY)).unwrap();
        assert_eq!((left.keys[0].public.retires_at, left.signs(now)), (None, true));
    }

    #[test]
    fn a_spare_key_signs_when_no_other_is_left_and_not_before() {
        let schedule = rotated(&[START]).with_spare(new_key(), 2).unwrap();
        let now = START.plus(DAY);
        let spare = schedule.spare[0].kid().to_owned();
        assert!(schedule.has(&spare) && !schedule.key_set().lists(&spare), "nobody knows it");
        assert_ne!(signer(&schedule, now.plus(DAY * 365)), Some(spare.clone()));

        let left = schedule.without(&kids(&schedule)[0], 3, now).unwrap();
        assert_eq!((signer(&left, now), left.spare.len()), (Some(spare.clone()), 0));
        // Signers that have the old secret sign with it, too, as soon as the table lists it.
        let signs =
            schedule.signing_keys().unwrap().at(now, &left.key_set()).map(|key| key.verifying().kid().to_owned());
        assert_eq!(signs, Some(spare));
    }

    #[test]
    fn a_key_on_the_deny_list_neither_signs_nor_verifies_nor_comes_back() {
        let schedule = rotated(&[START]);
        let kid = &kids(&schedule)[0];
        let mut published = schedule.key_set();
        published.removed.insert(kid.clone());
        let keys = schedule.signing_keys().unwrap();
        assert!(published.find(kid, START).is_none() && published.verifying(START).next().is_none());
        assert!(keys.at(START, &published).is_none() && keys.has_removed(&published));

        let left = schedule.without(kid, 2, START).unwrap();
        let next = left.with(new_key(), 3, START).unwrap();
        assert!(next.removed().contains(kid), "a rotation keeps the list");
        assert_eq!((left.replaces(), next.replaces()), (1, 2));
        let announced = schedule.announcement(&next);
        assert!(announced.find(kid, START).is_none(), "an announcement obeys the list");
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
