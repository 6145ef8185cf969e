//! `rotate-secret`: adds a key to the master secret for Secrets Manager, and marks keys that have leaked.
//!
//! Secrets Manager calls the four steps of a rotation in order, each any number of times. The new key is written down
//! ten minutes before it writes, so that every function can read what it makes
//! (docs/adr/0021-versions-of-the-master-secret.md).

use latchkey::{
    ApiError, App,
    base::{kid::Kid, time::Timestamp},
    rotation::{RotatedSecret, Version},
    runtime::Invocation,
    tokens::secret::{MasterSecret, SecretChange},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// How often a leak is recorded anew after another run has changed the secret.
const TRIES: usize = 8;

/// An event that the function is invoked with.
#[derive(Deserialize)]
#[serde(untagged)]
enum Event {
    /// A step of a rotation, requested by Secrets Manager.
    #[serde(rename_all = "PascalCase")]
    Rotation { step: Step, secret_id: String, client_request_token: String },
    /// A leak of every key up to this one, reported by an operator.
    Leak { leaked: Kid },
}

/// A step of a rotation.
#[derive(Clone, Copy, Deserialize)]
enum Step {
    /// Add a key.
    #[serde(rename = "createSecret")]
    Create,
    /// Nothing: no other service has to learn the key.
    #[serde(rename = "setSecret")]
    Set,
    /// Derive every key.
    #[serde(rename = "testSecret")]
    Test,
    /// Make the version the one that functions read.
    #[serde(rename = "finishSecret")]
    Finish,
}

/// A reason for which a step or a report fails.
#[derive(Debug, thiserror::Error)]
enum RotationError {
    #[error("the event is neither from Secrets Manager, nor {{\"leaked\": KEY}}")]
    UnknownEvent,
    #[error("this function does not rotate that secret: name the one in SECRET_KEY_ARN")]
    OtherSecret,
    #[error("the version is not pending: start a rotation with `aws secretsmanager rotate-secret`")]
    NotPending,
    #[error("the rotation was given up, because it took too long or the secret was changed meanwhile: start a new one")]
    GivenUp,
    #[error(transparent)]
    Change(#[from] SecretChange),
    #[error("other runs changed the secret during every try: check its keys with `admin secret status`, and try again")]
    Outrun,
}

impl From<RotationError> for ApiError {
    fn from(error: RotationError) -> Self {
        Self::Internal(error.into())
    }
}

/// Runs one step of a rotation, or marks keys that have leaked.
pub async fn handle(app: &App, invocation: &Invocation, event: Value) -> Result<Value, ApiError> {
    let arn = app.config.keys.secret_key_arn.as_deref();
    let arn = arn.ok_or_else(|| ApiError::not_configured("SECRET_KEY_ARN"))?;
    let rotation = Rotation { secret: RotatedSecret::new(&app.secrets, arn), now: invocation.now };
    match serde_json::from_value(event).map_err(|_| RotationError::UnknownEvent)? {
        Event::Rotation { secret_id, .. } if secret_id != arn => Err(RotationError::OtherSecret.into()),
        Event::Rotation { step, client_request_token: token, .. } => {
            match (step, rotation.secret.version(&token).await?) {
                (Step::Create, Version::Pending) => rotation.create(&token).await?,
                (Step::Test, Version::Pending) => rotation.test(&token).await?,
                (Step::Finish, Version::Pending) => rotation.finish(&token).await?,
                // There is nothing to do, or the rotation is finished and Secrets Manager repeats a step.
                (Step::Set, Version::Pending) | (_, Version::Current) => {}
                (_, Version::Other) => return Err(RotationError::NotPending.into()),
            }
            Ok(Value::Null)
        }
        Event::Leak { leaked } => rotation.record_leak(leaked).await,
    }
}

struct Rotation<'a> {
    secret: RotatedSecret<'a, MasterSecret>,
    now: Timestamp,
}

impl Rotation<'_> {
    async fn create(&self, token: &str) -> Result<(), ApiError> {
        if self.secret.pending(token).await?.is_some() {
            return Ok(());
        }
        let (_, current) = self.secret.current().await?;
        let next = current.with_new(self.now).map_err(RotationError::from)?;
        Ok(self.secret.put_pending(token, &next).await?)
    }

    async fn test(&self, token: &str) -> Result<(), ApiError> {
        self.next(token).await?.derive().map_err(|why| ApiError::Internal(why.into()))?;
        Ok(())
    }

    /// Makes the version the one that functions read. Gives the rotation up if the secret was changed since, or if the
    /// new key would write before every function has read it.
    async fn finish(&self, token: &str) -> Result<(), ApiError> {
        let ((version, current), next) =
            tokio::try_join!(async { self.secret.current().await.map_err(ApiError::from) }, self.next(token))?;
        if !next.follows(&current) || !next.is_in_time(self.now) {
            // Secrets Manager begins no other rotation while a version has the label.
            self.secret.abandon(token).await?;
            return Err(RotationError::GivenUp.into());
        }
        self.secret.promote(token, &version).await?;
        // A version that a leak or a retirement replaces must not look like a rotation that is still to be finished.
        if let Err(error) = self.secret.abandon(token).await {
            tracing::warn!(%error, "the label AWSPENDING stays; the next rotation may have to be begun twice");
        }
        if let Some(newest) = next.versions().last() {
            tracing::info!(
                target: "latchkey::events", event = "master-key-added", key = newest.kid.as_byte(),
                writes_from = newest.from.unix_seconds(), "the rotation of the master secret is finished"
            );
        }
        Ok(())
    }

    /// Marks every key up to `newest` as leaked, and lets another one write at once.
    async fn record_leak(&self, newest: Kid) -> Result<Value, ApiError> {
        for _ in 0..TRIES {
            let (version, current) = self.secret.current().await?;
            let next = current.after_leak(newest, self.now).map_err(RotationError::from)?;
            let Some(next) = next else { return Ok(answer(&current)) };
            if self.secret.replace(&version, &next).await? {
                tracing::warn!(
                    target: "latchkey::events", event = "master-key-leaked", up_to = newest.as_byte(),
                    "keys of the master secret are marked as leaked: open codes and sessions have ended"
                );
                return Ok(answer(&next));
            }
        }
        Err(RotationError::Outrun.into())
    }

    async fn next(&self, token: &str) -> Result<MasterSecret, ApiError> {
        Ok(self.secret.pending(token).await?.ok_or(RotationError::NotPending)?)
    }
}

/// Returns which keys are marked as leaked, and which one is the newest.
fn answer(secret: &MasterSecret) -> Value {
    let versions = secret.versions();
    let leaked: Vec<_> = versions.iter().filter(|version| version.has_leaked).map(|version| version.kid).collect();
    json!({ "leaked": leaked, "writes": versions.last().map(|version| version.kid) })
}
