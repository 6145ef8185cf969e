//! The keys that a function has at hand: read at run time, kept for minutes, and kept longer when they cannot be read.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

use crate::{
    aws::CallError,
    base::{time::Timestamp, variables::Variables},
    store::{Store, StoreError},
    tokens::{
        key_schedule::{KeySchedule, KeySet, MalformedSchedule, PUBLISHED_BEFORE, SigningKeys},
        keys::{InvalidKey, Secret, SigningAlgorithm, SigningKey, VerifyingKey},
    },
};

/// How long signing keys and credentials are kept before they are read again (docs/threats.md#i4).
const SECRETS_FRESH: Duration = Duration::from_mins(5);

/// How long the public keys are kept: also how long a key that was removed in an emergency is still taken.
const KEY_SET_FRESH: Duration = Duration::from_mins(2);

/// How long a copy is good enough when nothing newer can be read. A key that this copy does not know yet signs only after
/// that time, and until then the key that it does know is the right one.
const STALE_BUT_USABLE: Duration = PUBLISHED_BEFORE;

/// How soon a read that failed is tried again while there is a copy; and how often, at the most, tokens of unknown keys
/// make us read.
const READ_AGAIN: Duration = Duration::from_secs(30);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The template gives the function no such secret.
    #[error("{0} is not set for this function")]
    NotConfigured(&'static str),
    /// Secrets Manager did not answer as it should.
    #[error("the secret of {0} cannot be read")]
    Secret(&'static str, #[source] CallError),
    /// The secret is not as it was made.
    #[error("the secret of {0} cannot be used")]
    InvalidSecret(&'static str, #[source] InvalidKey),
    /// The secret of the signing keys is not as it was made.
    #[error(transparent)]
    Malformed(#[from] MalformedSchedule),
    /// The table did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `rotate-keys` has not run yet.
    #[error("there is no key yet: `rotate-keys` makes the first one when the stack is made")]
    NoKey,
}

/// Where the secrets are. Each function is told of those that it may read.
#[derive(Clone, Debug)]
pub struct KeySettings {
    /// `SECRET_KEY_ARN`: the secret whose keys hash codes and authenticate refresh tokens.
    pub secret_key_arn: Option<String>,
    /// `SIGNING_KEYS_ARN`: the secret with the keys that sign access tokens.
    pub signing_keys_arn: Option<String>,
    /// `SMS_CREDENTIALS_ARN`: the secret with what the provider of text messages knows us by.
    pub sms_credentials_arn: Option<String>,
    /// `SIGNING_ALGORITHM`: what the next new key signs with.
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

/// Where keys come from.
#[derive(Debug)]
pub struct Keyring {
    store: Store,
    secrets: aws_sdk_secretsmanager::Client,
    secret_key_arn: Option<String>,
    signing_keys_arn: Option<String>,
    sms_credentials_arn: Option<String>,
    secret: Cached<Secret>,
    sms_credentials: Cached<Zeroizing<String>>,
    signing_keys: Cached<SigningKeys>,
    key_set: Cached<KeySet>,
}

impl Keyring {
    /// Nothing is read yet.
    pub fn new(store: Store, secrets: aws_sdk_secretsmanager::Client, settings: &KeySettings) -> Self {
        Self {
            store,
            secrets,
            secret_key_arn: settings.secret_key_arn.clone(),
            signing_keys_arn: settings.signing_keys_arn.clone(),
            sms_credentials_arn: settings.sms_credentials_arn.clone(),
            secret: Cached::default(),
            sms_credentials: Cached::default(),
            signing_keys: Cached::default(),
            key_set: Cached::default(),
        }
    }

    /// The keys of codes and refresh tokens. They never change while a function runs.
    pub async fn secret(&self, now: Timestamp) -> Result<Arc<Secret>, KeyringError> {
        self.secret.get(Duration::MAX, now, || Box::pin(self.read_secret())).await
    }

    /// The same, if it was read before: for what must not wait.
    pub fn secret_at_hand(&self) -> Option<Arc<Secret>> {
        self.secret.at_hand()
    }

    /// What the provider of text messages knows us by, as its secret holds it.
    pub async fn sms_credentials(&self, now: Timestamp) -> Result<Arc<Zeroizing<String>>, KeyringError> {
        self.sms_credentials.get(SECRETS_FRESH, now, || Box::pin(self.read_sms_credentials())).await
    }

    /// The key that signs now.
    pub async fn signing_key(&self, now: Timestamp) -> Result<SigningKey, KeyringError> {
        let keys = self.signing_keys.get(SECRETS_FRESH, now, || Box::pin(self.read_signing_keys())).await?;
        if let Some(key) = keys.at(now) {
            return Ok(key.clone());
        }
        // A stack that was made a moment ago.
        let keys = self.signing_keys.get(Duration::ZERO, now, || Box::pin(self.read_signing_keys())).await?;
        keys.at(now).cloned().ok_or(KeyringError::NoKey)
    }

    /// The public keys.
    pub async fn key_set(&self, now: Timestamp) -> Result<Arc<KeySet>, KeyringError> {
        self.key_set.get(KEY_SET_FRESH, now, || Box::pin(self.read_key_set())).await
    }

    /// The public key of a token; none when there is none. A `kid` that is not known makes us look once more, but not
    /// for everybody who makes one up.
    pub async fn verifying_key(&self, kid: &str, now: Timestamp) -> Result<Option<VerifyingKey>, KeyringError> {
        if let Some(key) = self.key_set(now).await?.find(kid, now) {
            return Ok(Some(key.clone()));
        }
        let keys = self.key_set.get(READ_AGAIN, now, || Box::pin(self.read_key_set())).await?;
        Ok(keys.find(kid, now).cloned())
    }

    /// Reads what the function will need, while the sandbox starts. What fails now is tried again by the first request.
    pub async fn warm(&self, verifies: bool, now: Timestamp) {
        let secret = async {
            if self.secret_key_arn.is_some() {
                let _ = self.secret(now).await;
            }
        };
        let signing_keys = async {
            if self.signing_keys_arn.is_some() {
                let _ = self.signing_key(now).await;
            }
        };
        let key_set = async {
            if verifies {
                let _ = self.key_set(now).await;
            }
        };
        tokio::join!(secret, signing_keys, key_set);
    }

    async fn read_secret(&self) -> Result<Secret, KeyringError> {
        const NAME: &str = "SECRET_KEY_ARN";
        let text = self.current_value(NAME, self.secret_key_arn.as_deref()).await?;
        Secret::from_base64(&text).map_err(|why| KeyringError::InvalidSecret(NAME, why))
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

/// Something that is read from elsewhere, of which a copy is held.
#[derive(Debug)]
struct Cached<T>(Mutex<Option<Held<T>>>);

#[derive(Debug)]
struct Held<T> {
    value: Arc<T>,
    read_at: Timestamp,
    /// When the last read failed; none when it did not.
    failed_at: Option<Timestamp>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Cached<T> {
    /// The copy, if there is one.
    fn at_hand(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|held| held.value.clone())
    }

    /// The copy when it is younger than `fresh`; else what is read now; else, when that fails, an older copy.
    async fn get<'a>(
        &self,
        fresh: Duration,
        now: Timestamp,
        read: impl FnOnce() -> BoxFuture<'a, Result<T, KeyringError>>,
    ) -> Result<Arc<T>, KeyringError> {
        let stale = {
            let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &*held {
                Some(held) if now.since(held.read_at) < fresh => return Ok(held.value.clone()),
                Some(held) if now.since(held.read_at) < STALE_BUT_USABLE => {
                    // A dependency that is down must not cost every request its deadline.
                    if held.failed_at.is_some_and(|failed_at| now.since(failed_at) < READ_AGAIN) {
                        return Ok(held.value.clone());
                    }
                    Some(held.value.clone())
                }
                _ => None,
            }
        };
        match (read().await, stale) {
            (Ok(value), _) => {
                let value = Arc::new(value);
                let held = Held { value: value.clone(), read_at: now, failed_at: None };
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
                Ok(value)
            }
            (Err(error), Some(stale)) => {
                tracing::warn!(%error, "keys cannot be read; the last ones are used");
                if let Some(held) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
                    held.failed_at = Some(now);
                }
                Ok(stale)
            }
            (Err(error), None) => Err(error),
        }
    }
}
