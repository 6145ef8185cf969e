//! What `rotate-keys` does: rotates the signing keys for Secrets Manager, and removes a key that has leaked.
//!
//! Who runs it brings what generates RSA keys: the function does, and the dev server only if asked to, because aws-lc
//! takes a tenth of its build (docs/adr/0054-what-a-newcomer-compiles.md).
//!
//! Secrets Manager calls the four steps of a rotation in order, each any number of times. The secret holds a schedule
//! ([`KeySchedule`]), which says from when on each key signs. The switch to a new key is therefore not a step of the
//! rotation but a time, hours after it, at which every verifier knows the key.

mod removal;

use std::collections::BTreeSet;

use latchkey::{
    ApiError, App,
    base::time::Timestamp,
    rotation::{RotatedSecret, Version},
    runtime::Invocation,
    store::Publication,
    tokens::{
        key_schedule::{KeySchedule, KeySet, NewKey},
        keys::{InvalidKey, SigningAlgorithm, SigningKey},
    },
};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

/// Generates an RSA key in the form that [`SigningKey::from_base64`] reads. *ring* cannot.
pub type NewRsaKey = fn() -> Result<Zeroizing<String>, ApiError>;

/// An event that the function is invoked with.
#[derive(Deserialize)]
#[serde(untagged)]
enum Event {
    /// A step of a rotation, requested by Secrets Manager.
    #[serde(rename_all = "PascalCase")]
    Rotation { step: Step, secret_id: String, client_request_token: String },
    /// The removal of a leaked key, requested by an operator.
    Removal { remove_key: String },
    /// The removal of every key, requested by an operator after a leak of the secret.
    RemovalOfAll { remove_every_key: bool },
}

/// A step of a rotation.
#[derive(Clone, Copy, Deserialize)]
enum Step {
    /// Create the next schedule, with a new key in it.
    #[serde(rename = "createSecret")]
    Create,
    /// Publish the new key.
    #[serde(rename = "setSecret")]
    Set,
    /// Sign with every key, and verify with the published keys.
    #[serde(rename = "testSecret")]
    Test,
    /// Make the schedule the one that the signers read.
    #[serde(rename = "finishSecret")]
    Finish,
}

/// A reason for which a step or a removal fails.
#[derive(Debug, thiserror::Error)]
enum RotationError {
    #[error(
        "the event is neither from Secrets Manager, nor {{\"remove_key\": \"KID\"}} or {{\"remove_every_key\": true}}"
    )]
    UnknownEvent,
    #[error("this function does not rotate that secret: name the one in SIGNING_KEYS_ARN")]
    OtherSecret,
    #[error("the version is not pending: start a rotation with `aws secretsmanager rotate-secret`")]
    NotPending,
    #[error("the rotation was given up, because it took too long or another one overtook it: start a new one")]
    GivenUp,
    #[error("the published keys do not verify what the key {0} signed")]
    KeyDoesNotVerify(String),
    #[error("there is no key {0}: GET /.well-known/jwks.json lists the keys")]
    NoSuchKey(String),
    #[error("another rotation was faster: check the keys, and try again")]
    Outrun,
}

impl From<RotationError> for ApiError {
    fn from(error: RotationError) -> Self {
        Self::Internal(error.into())
    }
}

/// Runs one step of a rotation, or removes a key.
pub async fn handle(
    app: &App,
    invocation: &Invocation,
    event: Value,
    new_rsa_key: NewRsaKey,
) -> Result<Value, ApiError> {
    let arn = app.config.keys.signing_keys_arn.as_deref();
    let arn = arn.ok_or_else(|| ApiError::not_configured("SIGNING_KEYS_ARN"))?;
    let rotation = Rotation { app, secret: RotatedSecret::new(&app.secrets, arn), now: invocation.now, new_rsa_key };
    match serde_json::from_value(event).map_err(|_| RotationError::UnknownEvent)? {
        Event::Rotation { secret_id, .. } if secret_id != arn => Err(RotationError::OtherSecret.into()),
        Event::Rotation { step, client_request_token: token, .. } => {
            match (step, rotation.secret.version(&token).await?) {
                (Step::Create, Version::Pending) => rotation.create(&token).await?,
                (Step::Set, Version::Pending) => rotation.set(&token).await?,
                (Step::Test, Version::Pending) => rotation.test(&token).await?,
                (Step::Finish, Version::Pending | Version::Current) => rotation.finish(&token).await?,
                // The rotation is finished already, and Secrets Manager repeats a step.
                (_, Version::Current) => {}
                (_, Version::Other) => return Err(RotationError::NotPending.into()),
            }
            Ok(Value::Null)
        }
        Event::Removal { remove_key } => rotation.remove(&remove_key).await,
        Event::RemovalOfAll { remove_every_key: false } => Err(RotationError::UnknownEvent.into()),
        Event::RemovalOfAll { remove_every_key: true } => rotation.remove_every_key().await,
    }
}

struct Rotation<'a> {
    app: &'a App,
    secret: RotatedSecret<'a, KeySchedule>,
    now: Timestamp,
    new_rsa_key: NewRsaKey,
}

impl Rotation<'_> {
    async fn create(&self, token: &str) -> Result<(), ApiError> {
        if self.secret.pending(token).await?.is_some() {
            return Ok(());
        }
        // First, so that the next schedule has no key that was removed.
        let State { current, published, .. } = self.settle(&BTreeSet::new()).await?.state;
        let generation = next_generation(&current, &published);
        let mut next = current.with(self.new_key()?, generation, self.now).map_err(internal)?;
        if !next.has_spare(self.app.config.keys.algorithm) {
            next = next.with_spare(self.new_key()?, generation).map_err(internal)?;
        }
        Ok(self.secret.put_pending(token, &next).await?)
    }

    /// Publishes the new key beside the published ones. Removes none yet, so that the signers go on unaffected if the
    /// rotation ends here.
    async fn set(&self, token: &str) -> Result<(), ApiError> {
        let (State { current, published, .. }, next) = tokio::try_join!(self.state(), self.next(token))?;
        if is_announced(&next, &published) {
            return Ok(());
        }
        let is_outrun = published.generation >= next.generation() || !follows(&next, &current, &published);
        if is_outrun || !next.is_announced_in_time(&current, self.now) {
            return self.give_up(token).await;
        }
        match self.app.store.publish(&next.announcement(&current), published.generation).await? {
            Publication::Done => Ok(()),
            // The same step may have run twice at once: then what it publishes is published.
            Publication::Outrun if self.is_announced(&next).await? => Ok(()),
            Publication::Outrun => self.give_up(token).await,
        }
    }

    async fn is_announced(&self, next: &KeySchedule) -> Result<bool, ApiError> {
        Ok(is_announced(next, &self.published().await?))
    }

    async fn test(&self, token: &str) -> Result<(), ApiError> {
        let (next, published) = tokio::try_join!(self.next(token), self.published())?;
        let keys = next.signing_keys().map_err(internal)?;
        for key in keys.all() {
            let kid = key.verifying().kid();
            if !published.find(kid, self.now).is_some_and(|public| key.is_verified_by(public)) {
                return Err(RotationError::KeyDoesNotVerify(kid.to_owned()).into());
            }
        }
        Ok(())
    }

    /// Makes the schedule the one that the signers read, and only then publishes when the other keys retire.
    async fn finish(&self, token: &str) -> Result<(), ApiError> {
        if let Version::Pending = self.secret.version(token).await? {
            let (State { version, current, published }, next) = tokio::try_join!(self.state(), self.next(token))?;
            if !is_announced(&next, &published)
                || !follows(&next, &current, &published)
                || !next.is_in_time(&current, self.now)
            {
                return self.give_up(token).await;
            }
            self.secret.promote(token, &version).await?;
        }
        let State { current, published, .. } = self.state().await?;
        let key_set = KeySet { generation: current.generation() + 1, ..current.key_set() };
        let is_next = published.generation < key_set.generation && published.removed.is_subset(&key_set.removed);
        if is_next && self.app.store.publish(&key_set, published.generation).await? == Publication::Done {
            for key in &key_set.keys {
                tracing::info!(
                    target: "latchkey::events", event = "signing-key", kid = key.key.kid(),
                    algorithm = key.key.algorithm().as_str(), signs_from = key.signs_from, retires_at = key.retires_at,
                    "the rotation of the signing keys is finished"
                );
            }
            return Ok(());
        }
        // What was published later knows this schedule, or is a removal that the schedule does not know.
        self.settle(&BTreeSet::new()).await?;
        Ok(())
    }

    fn new_key(&self) -> Result<NewKey, ApiError> {
        let algorithm = self.app.config.keys.algorithm;
        let private_key = match algorithm {
            SigningAlgorithm::Es256 => SigningKey::generate_es256()?,
            SigningAlgorithm::Rs256 => (self.new_rsa_key)()?,
        };
        Ok(NewKey { algorithm, private_key })
    }

    async fn next(&self, token: &str) -> Result<KeySchedule, ApiError> {
        Ok(self.secret.pending(token).await?.ok_or(RotationError::NotPending)?)
    }

    async fn published(&self) -> Result<KeySet, ApiError> {
        Ok(self.app.store.key_set().await?.unwrap_or_default())
    }

    /// Reads the secret, and then the table, because every change of a key set is published before it is written to the
    /// secret.
    async fn state(&self) -> Result<State, ApiError> {
        let (version, current) = self.secret.current().await?;
        Ok(State { version, current, published: self.published().await? })
    }

    /// Removes the pending label, because Secrets Manager begins no other rotation while a version has it.
    async fn give_up(&self, token: &str) -> Result<(), ApiError> {
        self.secret.abandon(token).await?;
        Err(RotationError::GivenUp.into())
    }
}

/// What the secret and the table say.
struct State {
    /// The version of the secret.
    version: String,
    current: KeySchedule,
    published: KeySet,
}

/// Returns a generation later than any that was written or published, including those of rotations that were given up.
fn next_generation(current: &KeySchedule, published: &KeySet) -> u64 {
    published.generation.max(current.generation()) + 1
}

/// Returns whether `next` was made from the schedule that it would replace, and knows every key that was removed.
fn follows(next: &KeySchedule, current: &KeySchedule, published: &KeySet) -> bool {
    next.replaces() == current.generation() && published.removed.is_subset(next.removed())
}

/// Returns whether what is published is the announcement of `next`, and nothing later.
fn is_announced(next: &KeySchedule, published: &KeySet) -> bool {
    let is_public = next.key_set().keys.iter().all(|key| published.lists(key.key.kid()));
    published.generation == next.generation() && is_public
}

fn internal(why: InvalidKey) -> ApiError {
    ApiError::Internal(why.into())
}
