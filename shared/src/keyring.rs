//! The keys that a function holds. It reads them at run time and keeps them for minutes, or longer while they cannot be
//! read again.

mod cached;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use zeroize::Zeroizing;

use self::cached::{Cached, READ_AGAIN};
use crate::{
    aws::{CallError, OnFirstUse},
    base::{kid::Kid, time::Timestamp, variables::Variables},
    store::{Store, StoreError},
    tokens::{
        key_schedule::{JWKS_MAX_AGE, KeySchedule, KeySet, MalformedSchedule, PUBLISHED_BEFORE, SigningKeys},
        keys::{InvalidKey, SigningAlgorithm, SigningKey, VerifyingKey},
        secret::{Keys, Secret, Version, Versions},
    },
};

/// The time for which secrets and the provider's credentials are used before they are read again
/// (docs/threats.md#i4).
const SECRETS_FRESH: Duration = Duration::from_mins(5);

/// The time for which the public keys are used before they are read again. A removed key is refused earlier: a request
/// reads the deny list together with its session (docs/adr/0020-removed-keys.md).
const KEY_SET_FRESH: Duration = Duration::from_mins(2);

/// The same for the few requests that do not read a session: the longest time for which they accept a removed key.
const KEY_SET_FRESH_WITHOUT_SESSION: Duration = Duration::from_secs(10);

/// The time for which a copy of the public keys may be used while they cannot be read again.
const KEY_SET_USABLE: Duration = JWKS_MAX_AGE;

/// The time for which a copy of a secret may be used while it cannot be read again. A key that is missing from the copy
/// signs only after that time; until then a key in the copy is the right one. A version of the master secret may still
/// write that long after its successor has taken over.
pub const SECRETS_USABLE: Duration = PUBLISHED_BEFORE;

/// The time for which no token with an unknown `kid` causes a read of the key set, after a read in vain. It is short,
/// because it is also the time for which invented ones may hide a key that a removal brings forward.
const UNKNOWN_KEY_AGAIN: Duration = Duration::from_secs(1);

/// The same for unknown versions of the master secret, whose reads cost more.
const UNKNOWN_VERSION_AGAIN: Duration = Duration::from_secs(30);

/// The variable that names the master secret.
const SECRET_KEY: &str = "SECRET_KEY_ARN";

/// The reason why a key is not available.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The template does not give the function this secret.
    #[error("{0} is not set for this function")]
    NotConfigured(&'static str),
    /// Secrets Manager did not return the secret.
    #[error("the secret of {0} cannot be read")]
    Secret(&'static str, #[source] CallError),
    /// The secret does not have the format in which it was created.
    #[error("the secret of {0} cannot be used")]
    InvalidSecret(&'static str, #[source] InvalidKey),
    /// The secret of the signing keys does not have the format that `rotate-keys` writes.
    #[error(transparent)]
    Malformed(#[from] MalformedSchedule),
    /// Something names a version of the master secret that is newer than every one in it. The copy may be older than
    /// the version, or a client made the name up: which of them cannot be told, so nothing is refused for it.
    #[error("the secret of SECRET_KEY_ARN has no key {0} yet")]
    UnknownVersion(Kid),
    /// The table did not return the key set.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `rotate-keys` has not run yet.
    #[error("there is no key yet: `rotate-keys` creates the first one when the stack is created; see its log")]
    NoKey,
}

/// The ARNs of the secrets, and the algorithm of new keys. The template gives each function only the ARNs of the
/// secrets that it may read.
#[derive(Clone, Debug)]
pub struct KeySettings {
    /// `SECRET_KEY_ARN`: the secret whose keys hash codes and authenticate refresh tokens.
    pub secret_key_arn: Option<String>,
    /// `SIGNING_KEYS_ARN`: the secret with the keys that sign access tokens.
    pub signing_keys_arn: Option<String>,
    /// `SMS_CREDENTIALS_ARN`: the secret with our credentials for the SMS provider.
    pub sms_credentials_arn: Option<String>,
    /// `SIGNING_ALGORITHM`: the algorithm of the next new key.
    pub algorithm: SigningAlgorithm,
}

impl KeySettings {
    /// Reads `*_ARN` and `SIGNING_ALGORITHM`.
    pub fn read(read: &mut Variables<'_>) -> Self {
        let secret_key_arn = read.optional("SECRET_KEY_ARN").map(str::to_owned);
        let signing_keys_arn = read.optional("SIGNING_KEYS_ARN").map(str::to_owned);
        let sms_credentials_arn = read.optional("SMS_CREDENTIALS_ARN").map(str::to_owned);
        let algorithms = SigningAlgorithm::ALL.map(|algorithm| (algorithm.as_str(), algorithm));
        let algorithm = read.one_of("SIGNING_ALGORITHM", &algorithms).unwrap_or(SigningAlgorithm::Es256);
        Self { secret_key_arn, signing_keys_arn, sms_credentials_arn, algorithm }
    }
}

/// The keys of a function: a cache of the secrets in Secrets Manager and of the key set in the table.
#[derive(Debug)]
pub struct Keyring {
    store: Store,
    secrets: OnFirstUse<aws_sdk_secretsmanager::Client>,
    secret_key_arn: Option<String>,
    signing_keys_arn: Option<String>,
    sms_credentials_arn: Option<String>,
    secret: Cached<Versions>,
    sms_credentials: Cached<Zeroizing<String>>,
    signing_keys: Cached<SigningKeys>,
    key_set: Cached<KeySet>,
    /// When the key set was last read and did not have the `kid` of a token.
    unknown_key_at: Mutex<Option<Timestamp>>,
    /// When the master secret was last read and did not have a version that something named.
    unknown_version_at: Mutex<Option<Timestamp>>,
}

impl Keyring {
    /// Makes an empty keyring; it reads nothing yet.
    pub fn new(store: Store, secrets: OnFirstUse<aws_sdk_secretsmanager::Client>, settings: &KeySettings) -> Self {
        Self {
            store,
            secrets,
            secret_key_arn: settings.secret_key_arn.clone(),
            signing_keys_arn: settings.signing_keys_arn.clone(),
            sms_credentials_arn: settings.sms_credentials_arn.clone(),
            secret: Cached::usable_for(SECRETS_USABLE),
            sms_credentials: Cached::usable_for(SECRETS_USABLE),
            signing_keys: Cached::usable_for(SECRETS_USABLE),
            key_set: Cached::usable_for(KEY_SET_USABLE),
            unknown_key_at: Mutex::new(None),
            unknown_version_at: Mutex::new(None),
        }
    }

    /// Returns the keys that new things are made with, by a copy of the master secret that is at most five minutes old,
    /// or older while it cannot be read.
    pub async fn secret(&self, now: Timestamp) -> Result<Secret, KeyringError> {
        self.versions(SECRETS_FRESH, now).await?.at(now).map_err(|why| KeyringError::InvalidSecret(SECRET_KEY, why))
    }

    /// Returns the keys of [`Self::secret`] if they have been read already, for a caller that must not wait.
    pub fn secret_at_hand(&self, now: Timestamp) -> Option<Secret> {
        self.secret.at_hand()?.at(now).ok()
    }

    /// Returns the keys of the version that made something short-lived, such as a code or a token. None if that version
    /// has leaked or was retired: then what it made proves nothing.
    pub async fn reading(&self, kid: Kid, now: Timestamp) -> Result<Option<Arc<Keys>>, KeyringError> {
        Ok(self.opening(kid, now).await?.filter(|keys| !keys.has_leaked))
    }

    /// The same for something that counts as none if its version is one that this sandbox does not know yet: the request must
    /// not fail for it.
    pub async fn known(&self, kid: Kid, now: Timestamp) -> Result<Option<Arc<Keys>>, KeyringError> {
        match self.reading(kid, now).await {
            Err(KeyringError::UnknownVersion(_)) => Ok(None),
            keys => keys,
        }
    }

    /// Returns the keys of several versions, each once, without those that have leaked or were retired.
    pub async fn reading_all(
        &self,
        kids: impl IntoIterator<Item = Kid>,
        now: Timestamp,
    ) -> Result<Vec<Arc<Keys>>, KeyringError> {
        let mut found = Vec::new();
        for kid in kids.into_iter().collect::<BTreeSet<_>>() {
            found.extend(self.reading(kid, now).await?);
        }
        Ok(found)
    }

    /// Returns the keys of the version that made something that must not be lost, such as a sealed secret of a second
    /// factor, even if that version has leaked. None if it was retired.
    ///
    /// An unknown version causes another read of the secret. If that does not find it, none causes one for 30 s, so that
    /// invented ones do not cost a read each.
    pub async fn opening(&self, kid: Kid, now: Timestamp) -> Result<Option<Arc<Keys>>, KeyringError> {
        let copy = self.secret.at_hand();
        let versions = self.versions(SECRETS_FRESH, now).await?;
        let mut found = versions.find(kid);
        if let Version::Unknown = found
            && is_due(&self.unknown_version_at, UNKNOWN_VERSION_AGAIN, now)
        {
            let was_read_now = copy.is_none_or(|copy| !Arc::ptr_eq(&copy, &versions));
            if !was_read_now {
                found = self.versions(Duration::ZERO, now).await?.find(kid);
            }
            if let Version::Unknown = found {
                note(&self.unknown_version_at, now);
            }
        }
        match found {
            Version::Known(keys) => Ok(Some(keys)),
            Version::Retired => Ok(None),
            Version::Unknown => Err(KeyringError::UnknownVersion(kid)),
        }
    }

    async fn versions(&self, fresh: Duration, now: Timestamp) -> Result<Arc<Versions>, KeyringError> {
        self.secret.get(fresh, now, || Box::pin(self.read_secret())).await
    }

    /// Returns our credentials for the SMS provider, in the format of their secret.
    pub async fn sms_credentials(&self, now: Timestamp) -> Result<Arc<Zeroizing<String>>, KeyringError> {
        self.sms_credentials.get(SECRETS_FRESH, now, || Box::pin(self.read_sms_credentials())).await
    }

    /// Returns the key that signs at `now`, by copies of the secret and of the key set.
    pub async fn signing_key(&self, now: Timestamp) -> Result<SigningKey, KeyringError> {
        self.signing_key_by(KEY_SET_FRESH, now).await
    }

    /// Returns the key that signs at `now`, by the key set that is published now. So no token is signed with a key that
    /// was removed a moment ago.
    pub async fn current_signing_key(&self, now: Timestamp) -> Result<SigningKey, KeyringError> {
        self.signing_key_by(Duration::ZERO, now).await
    }

    /// Returns the same by the key set that the request has read just now, with something else that it needed.
    pub async fn signing_key_of(&self, published: Option<KeySet>, now: Timestamp) -> Result<SigningKey, KeyringError> {
        self.key_set.keep(published.ok_or(KeyringError::NoKey)?, now);
        self.signing_key(now).await
    }

    async fn signing_key_by(&self, fresh: Duration, now: Timestamp) -> Result<SigningKey, KeyringError> {
        let (keys, published) = self.signing_keys_within(SECRETS_FRESH, fresh, now).await?;
        if let Some(key) = keys.at(now, &published) {
            return Ok(key.clone());
        }
        // The stack may be new, or a key may have been removed: `rotate-keys` may have written since the last reads.
        let (keys, published) = self.signing_keys_within(Duration::ZERO, Duration::ZERO, now).await?;
        keys.at(now, &published).cloned().ok_or(KeyringError::NoKey)
    }

    async fn signing_keys_within(
        &self,
        secret_fresh: Duration,
        key_set_fresh: Duration,
        now: Timestamp,
    ) -> Result<(Arc<SigningKeys>, Arc<KeySet>), KeyringError> {
        tokio::try_join!(
            self.signing_keys.get(secret_fresh, now, || Box::pin(self.read_signing_keys())),
            self.key_set.get(key_set_fresh, now, || Box::pin(self.read_key_set())),
        )
    }

    /// Returns whether the published keys lack an entry of the secret's deny list, by the copies at hand: the table was
    /// restored from a time before the removal. A removal writes the table first, so it is no reason.
    pub fn table_lacks_removed_key(&self) -> bool {
        let (Some(keys), Some(published)) = (self.signing_keys.at_hand(), self.key_set.at_hand()) else { return false };
        keys.was_forgotten_by(&published)
    }

    /// Returns whether the secret still has a key that was removed, by the copies at hand and, if they say so, by a
    /// copy of the secret that is at most 30 s old.
    pub async fn secret_has_removed_key(&self, now: Timestamp) -> bool {
        let (Some(keys), Some(published)) = (self.signing_keys.at_hand(), self.key_set.at_hand()) else { return false };
        if !keys.has_removed(&published) {
            return false;
        }
        let keys = self.signing_keys.get(READ_AGAIN, now, || Box::pin(self.read_signing_keys())).await;
        keys.is_ok_and(|keys| keys.has_removed(&published))
    }

    /// Returns the public keys, by a copy that is at most two minutes old.
    pub async fn key_set(&self, now: Timestamp) -> Result<Arc<KeySet>, KeyringError> {
        self.key_set.get(KEY_SET_FRESH, now, || Box::pin(self.read_key_set())).await
    }

    /// Returns the public keys as they are published now, or a copy of the last five minutes if they cannot be read.
    pub async fn current_key_set(&self, now: Timestamp) -> Result<Arc<KeySet>, KeyringError> {
        self.key_set.get(Duration::ZERO, now, || Box::pin(self.read_key_set())).await
    }

    /// Returns the public key with this `kid`, or `None` if there is none. For a request that reads its session, and
    /// the deny list with it.
    pub async fn verifying_key(&self, kid: &str, now: Timestamp) -> Result<Option<VerifyingKey>, KeyringError> {
        self.verifying_key_by(kid, KEY_SET_FRESH, now).await
    }

    /// Returns the public key with this `kid`, or `None` if there is none or it was removed more than ten seconds ago.
    pub async fn verifying_key_without_session(
        &self,
        kid: &str,
        now: Timestamp,
    ) -> Result<Option<VerifyingKey>, KeyringError> {
        self.verifying_key_by(kid, KEY_SET_FRESH_WITHOUT_SESSION, now).await
    }

    /// An unknown `kid` causes another read. If that does not find the key, none causes one for a second, so that invented
    /// ones do not cost a read each.
    async fn verifying_key_by(
        &self,
        kid: &str,
        fresh: Duration,
        now: Timestamp,
    ) -> Result<Option<VerifyingKey>, KeyringError> {
        let copy = self.key_set.at_hand();
        let keys = self.key_set.get(fresh, now, || Box::pin(self.read_key_set())).await?;
        let mut found = keys.find(kid, now).cloned();
        // A removed key is known: reading again would not bring it back.
        if found.is_some() || keys.removed.contains(kid) || !is_due(&self.unknown_key_at, UNKNOWN_KEY_AGAIN, now) {
            return Ok(found);
        }
        let was_read_now = copy.is_none_or(|copy| !Arc::ptr_eq(&copy, &keys));
        if !was_read_now {
            found = self.current_key_set(now).await?.find(kid, now).cloned();
        }
        if found.is_none() {
            note(&self.unknown_key_at, now);
        }
        Ok(found)
    }

    /// Returns whether the function reads the public keys while its sandbox starts, and so opens a connection to the
    /// table: it makes access tokens, or it verifies them.
    fn reads_key_set(&self, verifies: bool) -> bool {
        verifies || self.signing_keys_arn.is_some()
    }

    /// Reads the keys that the function needs, while the sandbox starts; meanwhile, `otherwise` opens a connection to the
    /// table if no key is read from there, and then `others` opens what more the function needs. The first request
    /// repeats a read that fails here.
    ///
    /// The secrets are read one after the other, by one connection: a second handshake costs more than it saves.
    pub async fn warm(
        &self,
        verifies: bool,
        now: Timestamp,
        otherwise: impl Future<Output = ()>,
        others: impl Future<Output = ()>,
    ) {
        let secrets = async {
            if self.secret_key_arn.is_some() {
                let _ = self.secret(now).await;
            }
            if self.signing_keys_arn.is_some() {
                let _ = self.signing_keys.get(SECRETS_FRESH, now, || Box::pin(self.read_signing_keys())).await;
            }
        };
        let table = async {
            if self.reads_key_set(verifies) {
                let _ = self.key_set(now).await;
            } else {
                otherwise.await;
            }
            others.await;
        };
        tokio::join!(secrets, table);
    }

    async fn read_secret(&self) -> Result<Versions, KeyringError> {
        let text = self.current_value(SECRET_KEY, self.secret_key_arn.as_deref()).await?;
        Versions::from_text(&text).map_err(|why| KeyringError::InvalidSecret(SECRET_KEY, why))
    }

    async fn read_sms_credentials(&self) -> Result<Zeroizing<String>, KeyringError> {
        self.current_value("SMS_CREDENTIALS_ARN", self.sms_credentials_arn.as_deref()).await
    }

    async fn read_signing_keys(&self) -> Result<SigningKeys, KeyringError> {
        const NAME: &str = "SIGNING_KEYS_ARN";
        let text = self.current_value(NAME, self.signing_keys_arn.as_deref()).await?;
        let schedule = KeySchedule::from_json(&text)?;
        schedule.signing_keys().map_err(|why| KeyringError::InvalidSecret(NAME, why))
    }

    async fn read_key_set(&self) -> Result<KeySet, KeyringError> {
        self.store.key_set().await?.ok_or(KeyringError::NoKey)
    }

    async fn current_value(&self, name: &'static str, arn: Option<&str>) -> Result<Zeroizing<String>, KeyringError> {
        let arn = arn.ok_or(KeyringError::NotConfigured(name))?;
        let output = self.secrets.get_secret_value().secret_id(arn).send().await;
        let output = output.map_err(|error| KeyringError::Secret(name, error.into()))?;
        Ok(Zeroizing::new(output.secret_string.unwrap_or_default()))
    }
}

/// Returns whether something unknown may cause a read again, by the time of the last read in vain.
fn is_due(asked_at: &Mutex<Option<Timestamp>>, again: Duration, now: Timestamp) -> bool {
    let asked_at = *asked_at.lock().unwrap_or_else(PoisonError::into_inner);
    asked_at.is_none_or(|asked_at| now.since(asked_at) >= again)
}

fn note(asked_at: &Mutex<Option<Timestamp>>, now: Timestamp) {
    *asked_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
}
