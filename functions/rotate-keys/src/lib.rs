//! `rotate-keys`: Secrets Manager's rotation of the signing keys, and the removal of a key that has leaked.
//!
//! Secrets Manager calls the four steps of a rotation one after the other, each any number of times. The secret holds a
//! schedule ([`KeySchedule`]): which key signs from when on. So the switch to a new key is no step of the rotation, but a
//! time, hours after it, at which everybody knows the key.

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

/// What the function is invoked with.
#[derive(Deserialize)]
#[serde(untagged)]
enum Event {
    /// By Secrets Manager.
    #[serde(rename_all = "PascalCase")]
    Rotation { step: Step, secret_id: String, client_request_token: String },
    /// By an operator, when a key has leaked.
    Removal { remove_key: String },
}

/// The steps of a rotation.
#[derive(Clone, Copy, Deserialize)]
enum Step {
    /// Make the next schedule, with a new key in it.
    #[serde(rename = "createSecret")]
    Create,
    /// Publish the new key.
    #[serde(rename = "setSecret")]
    Set,
    /// Sign and verify with every key, as they were published.
    #[serde(rename = "testSecret")]
    Test,
    /// Let the signers have the schedule.
    #[serde(rename = "finishSecret")]
    Finish,
}

/// A step that cannot be done. Each sentence says what to do.
#[derive(Debug, thiserror::Error)]
enum RotationError {
    #[error("not an event of Secrets Manager, and not {{\"remove_key\": \"KID\"}}")]
    UnknownEvent,
    #[error("the secret is not the one that this function rotates")]
    OtherSecret,
    #[error("the version is not pending: start a rotation with `aws secretsmanager rotate-secret`")]
    NotPending,
    #[error("the rotation took too long or was overtaken by another, and was given up: start a new one")]
    GivenUp,
    #[error("the key {0} does not verify what it signed, by what is published")]
    KeyDoesNotVerify(String),
    #[error("there is no key {0}")]
    NoSuchKey(String),
    #[error("another rotation was faster; look at the keys, and try again")]
    Outrun,
}

impl From<RotationError> for ApiError {
    fn from(error: RotationError) -> Self {
        Self::Internal(error.into())
    }
}

/// Does one step, or removes a key.
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
                // Done before: a step that is repeated after the last one.
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

    /// Publishes the new key beside those that are published. Nothing is taken away yet: should the rotation end here,
    /// those that sign go on as if it had not begun.
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

    /// Hands the schedule to the signers, and only then says when the others retire.
    async fn finish(&self, token: &str) -> Result<(), ApiError> {
        if let Version::Pending = self.secret.version(token).await? {
            let ((version, current), next) = tokio::try_join!(self.secret.current(), self.next(token))?;
            // Looked at after that: whoever removes a key publishes first.
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
            // What was published later knows this schedule: it is in the secret.
            Publication::Outrun => Ok(()),
        }
    }

    /// Takes a key out of everything at once. Published first: whatever happens next, its tokens are refused.
    async fn remove(&self, kid: &str) -> Result<Value, ApiError> {
        let (_, current) = self.secret.current().await?;
        let generation = self.next_generation(&current).await?;
        let is_published = self.published().await?.keys.iter().any(|key| key.key.kid() == kid);
        let mut left = match current.without(kid, generation, self.now) {
            Some(left) => left,
            // Of a rotation that was given up.
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

    /// An edition later than any that was written down or published: also than one of a rotation that was given up.
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

    /// Takes the pending label away, so that the next rotation can begin: Secrets Manager begins none while it is there.
    async fn give_up(&self, token: &str) -> Result<(), ApiError> {
        self.secret.abandon(token).await?;
        Err(RotationError::GivenUp.into())
    }
}
