//! `rotate-keys`: rotates the signing keys for Secrets Manager, and removes a key that has leaked.
//!
//! Secrets Manager calls the four steps of a rotation in order, each any number of times. The secret holds a schedule
//! ([`KeySchedule`]), which says from when on each key signs. The switch to a new key is therefore not a step of the
//! rotation but a time, hours after it, at which every verifier knows the key.

mod generate;
mod secret;

use latchkey::{
    ApiError, App,
    base::time::Timestamp,
    runtime::Invocation,
    store::Publication,
    tokens::key_schedule::{KeySchedule, KeySet},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::secret::{RotatedSecret, Version};

/// An event that the function is invoked with.
#[derive(Deserialize)]
#[serde(untagged)]
enum Event {
    /// A step of a rotation, requested by Secrets Manager.
    #[serde(rename_all = "PascalCase")]
    Rotation { step: Step, secret_id: String, client_request_token: String },
    /// The removal of a leaked key, requested by an operator.
    Removal { remove_key: String },
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
    #[error("the event is neither from Secrets Manager nor {{\"remove_key\": \"KID\"}}: send one of these")]
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
pub async fn handle(app: &App, invocation: &Invocation, event: Value) -> Result<Value, ApiError> {
    let arn = app.config.keys.signing_keys_arn.as_deref();
    let arn = arn.ok_or_else(|| ApiError::not_configured("SIGNING_KEYS_ARN"))?;
    let rotation = Rotation { app, secret: RotatedSecret::new(&app.secrets, arn), now: invocation.now };
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
    }
}

struct Rotation<'a> {
    app: &'a App,
    secret: RotatedSecret<'a>,
    now: Timestamp,
}

impl Rotation<'_> {
    async fn create(&self, token: &str) -> Result<(), ApiError> {
        if self.secret.pending(token).await?.is_some() {
            return Ok(());
        }
        let (_, current) = self.secret.current().await?;
        let next = self.with_new_key(&current, self.next_generation(&current).await?)?;
        self.secret.put_pending(token, &next).await
    }

    /// Publishes the new key beside the published ones. Removes none yet, so that the signers go on unaffected if the
    /// rotation ends here.
    async fn set(&self, token: &str) -> Result<(), ApiError> {
        let ((_, current), next) = tokio::try_join!(self.secret.current(), self.next(token))?;
        if !next.is_announced_in_time(&current, self.now) {
            return self.give_up(token).await;
        }
        match self.app.store.publish(&next.announcement(&current)).await? {
            Publication::Done => Ok(()),
            Publication::Outrun => self.give_up(token).await,
        }
    }

    async fn test(&self, token: &str) -> Result<(), ApiError> {
        let (next, published) = tokio::try_join!(self.next(token), self.published())?;
        let keys = next.signing_keys().map_err(|why| ApiError::Internal(why.into()))?;
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
            let ((version, current), next) = tokio::try_join!(self.secret.current(), self.next(token))?;
            // Read after the secret, because the removal of a key publishes before it writes the secret.
            let is_announced = self.published().await?.generation == next.generation();
            if !is_announced || !next.is_in_time(&current, self.now) {
                return self.give_up(token).await;
            }
            self.secret.promote(token, &version).await?;
        }
        let (_, schedule) = self.secret.current().await?;
        let key_set = KeySet { generation: schedule.generation() + 1, ..schedule.key_set() };
        match self.app.store.publish(&key_set).await? {
            Publication::Done => {
                for key in &key_set.keys {
                    tracing::info!(
                        target: "latchkey::events", event = "signing-key", kid = key.key.kid(),
                        algorithm = key.key.algorithm().as_str(), signs_from = key.signs_from, retires_at = key.retires_at,
                        "the rotation of the signing keys is finished"
                    );
                }
                Ok(())
            }
            // The later publication includes this schedule, because the secret has it.
            Publication::Outrun => Ok(()),
        }
    }

    /// Removes a key everywhere at once. Publishes first, so that the key's tokens are refused whatever happens next.
    async fn remove(&self, kid: &str) -> Result<Value, ApiError> {
        let (_, current) = self.secret.current().await?;
        let generation = self.next_generation(&current).await?;
        let is_published = self.published().await?.keys.iter().any(|key| key.key.kid() == kid);
        let mut left = match current.without(kid, generation, self.now) {
            Some(left) => left,
            // The key belongs to a rotation that was given up.
            None if is_published => current.renumbered(generation),
            None => return Err(RotationError::NoSuchKey(kid.to_owned()).into()),
        };
        if !left.signs(self.now) {
            left = self.with_new_key(&left, generation)?;
        }
        match self.app.store.publish(&left.key_set()).await? {
            Publication::Done => self.secret.put_current(&left).await?,
            Publication::Outrun => return Err(RotationError::Outrun.into()),
        }
        let keys = left.signing_keys().map_err(|why| ApiError::Internal(why.into()))?;
        let signs = keys.at(self.now).map(|key| key.verifying().kid());
        tracing::warn!(target: "latchkey::events", event = "signing-key-removed", kid, signs, "a signing key was removed");
        Ok(json!({ "removed": kid, "signs": signs }))
    }

    fn with_new_key(&self, schedule: &KeySchedule, generation: u64) -> Result<KeySchedule, ApiError> {
        let key = generate::new_key(self.app.config.keys.algorithm)?;
        schedule.with(key, generation, self.now).map_err(|why| ApiError::Internal(why.into()))
    }

    /// Returns a generation later than any that was written or published, including those of rotations that were given
    /// up.
    async fn next_generation(&self, current: &KeySchedule) -> Result<u64, ApiError> {
        let published = self.app.store.key_set().await?.map_or(0, |keys| keys.generation);
        Ok(published.max(current.generation()) + 1)
    }

    async fn next(&self, token: &str) -> Result<KeySchedule, ApiError> {
        Ok(self.secret.pending(token).await?.ok_or(RotationError::NotPending)?)
    }

    async fn published(&self) -> Result<KeySet, ApiError> {
        Ok(self.app.store.key_set().await?.unwrap_or(KeySet { generation: 0, keys: Vec::new() }))
    }

    /// Removes the pending label, because Secrets Manager begins no other rotation while a version has it.
    async fn give_up(&self, token: &str) -> Result<(), ApiError> {
        self.secret.abandon(token).await?;
        Err(RotationError::GivenUp.into())
    }
}
