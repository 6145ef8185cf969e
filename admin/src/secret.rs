//! Shows the versions of the master secret and what depends on each, and retires one
//! (docs/adr/0021-versions-of-the-master-secret.md).

use std::fmt::Write;

use latchkey::{
    base::{id::OperationId, kid::Kid, time::Timestamp},
    config::Config,
    keyring::SECRETS_USABLE,
    log::audit::{Audit, Circumstances, Outcome},
    rotation::{RotatedSecret, RotatedSecretError},
    store::{Store, StoreError, VersionUses},
    tokens::secret::{MasterSecret, SecretChange, VersionSummary},
};

/// The time for which a version may still write after its successor has taken over, in minutes.
const MINUTES: u64 = SECRETS_USABLE.as_secs() / 60;

/// The name of the command in the audit log.
const EVENT: &str = "operator-retire-key";

/// The context of a command: who runs it, when, and on which table and secret.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// The table.
    pub store: &'a Store,
    /// The client of Secrets Manager.
    pub secrets: &'a aws_sdk_secretsmanager::Client,
    /// The settings.
    pub config: &'a Config,
    /// The operator's name, for the audit log.
    pub operator: &'a str,
    /// The time of the command.
    pub now: Timestamp,
}

/// A reason for which a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The command does not know the secret.
    #[error("SECRET_KEY_ARN is not set for this command: set it as the stack's output OperatorEnvironment says")]
    NotConfigured,
    /// The version writes, or a function with an old copy of the secret may still write with it.
    #[error("key {0} still writes, or may: retire it when its successor has written for {MINUTES} minutes")]
    StillWrites(Kid),
    /// Something depends on the version.
    #[error("{0}")]
    InUse(String),
    /// There is no such version.
    #[error(transparent)]
    Change(#[from] SecretChange),
    /// The secret was changed at the same moment.
    #[error("the secret was changed at the same moment, and nothing was done: run the command again")]
    Outrun,
    /// The secret cannot be read or replaced.
    #[error(transparent)]
    Secret(#[from] RotatedSecretError),
    /// The table returned an error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SecretError {
    /// Returns the error's name in the audit log.
    const fn result(&self) -> &'static str {
        match self {
            Self::NotConfigured | Self::StillWrites(_) | Self::InUse(_) | Self::Change(_) => "refused",
            Self::Outrun => "outrun",
            Self::Secret(_) | Self::Store(_) => "temporarily-unavailable",
        }
    }
}

impl<'a> Desk<'a> {
    fn secret(&self) -> Result<RotatedSecret<'a, MasterSecret>, SecretError> {
        let arn = self.config.keys.secret_key_arn.as_deref().ok_or(SecretError::NotConfigured)?;
        Ok(RotatedSecret::new(self.secrets, arn))
    }
}

/// Returns a table of the versions, of what each does, and of what depends on it.
pub async fn status(desk: Desk<'_>) -> Result<String, SecretError> {
    let (_, current) = desk.secret()?.current().await?;
    let uses = desk.store.uses_by_version(desk.now).await?;
    let mut text = format!(
        "{:5}{:>15}{:>13}{:>10}{:>7}  {}",
        "key", "second factors", "enrollments", "sessions", "codes", "state"
    );
    for version in current.versions() {
        let VersionUses { second_factors, enrollments, sessions, codes } = uses.of(version.kid);
        // Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "\n{:<5}{:>15}{enrollments:>13}{sessions:>10}{codes:>7}  {}",
            version.kid,
            second_factors.len(),
            state(version, desk.now)
        );
    }
    Ok(text)
}

/// Returns what a version does at `now`, in words.
fn state(version: VersionSummary, now: Timestamp) -> String {
    let has_successor = version.until.is_some_and(|until| until <= now);
    if version.has_leaked {
        "leaked: opens second factors and nothing else".to_owned()
    } else if has_successor {
        "reads".to_owned()
    } else if version.from > now {
        format!("writes from {}", version.from.to_rfc3339())
    } else {
        "writes".to_owned()
    }
}

/// Removes a version from the secret, if nothing depends on it or the operator has said how many second factors are lost.
/// Returns the text to show to the operator. `each` gets every audit event as it is stored.
pub async fn retire(
    desk: Desk<'_>,
    kid: Kid,
    lose: Option<usize>,
    mut each: impl FnMut(&str),
) -> Result<String, SecretError> {
    let secret = desk.secret()?;
    let (version, current) = secret.current().await?;
    let next = current.without(kid)?;
    let summary = current.versions().into_iter().find(|summary| summary.kid == kid);
    let has_stopped = |until: Timestamp| until.plus(SECRETS_USABLE) <= desk.now;
    if !summary.and_then(|summary| summary.until).is_some_and(has_stopped) {
        return Err(SecretError::StillWrites(kid));
    }
    let has_leaked = summary.is_some_and(|summary| summary.has_leaked);
    let uses = desk.store.uses_by_version(desk.now).await?.of(kid);
    if let Some(why) = objection(kid, has_leaked, &uses, lose) {
        return Err(SecretError::InUse(why));
    }

    let audit = Audit::default();
    let request_id = OperationId::generate().map_err(StoreError::from)?.to_string();
    let mut keep = async |outcome: Outcome<'_>| {
        let (event, operator) = (EVENT, Some(desk.operator));
        let of = Circumstances { event, now: desk.now, address: None, operator, request_id: &request_id };
        let line =
            serde_json::to_string(&audit.line(of, outcome, None)).map_err(|error| StoreError::Bug(error.into()))?;
        each(&line);
        desk.store.keep_audit_line(&line, desk.now).await
    };
    keep(Outcome::refused("begun", None)).await?;
    let done = match secret.replace(&version, &next).await {
        Ok(true) => Ok(format!("Key {kid} is retired. Functions forget it within five minutes.")),
        Ok(false) => Err(SecretError::Outrun),
        Err(error) => Err(error.into()),
    };
    let outcome = done.as_ref().map_or_else(|error| Outcome::refused(error.result(), None), |_| Outcome::SUCCESS);
    match (keep(outcome).await, done) {
        (Ok(()), done) | (Err(_), done @ Err(_)) => done,
        // The key is retired, and the event `begun` is stored.
        (Err(error), Ok(said)) => Ok(format!("{said}\nThe audit event of this success could not be stored: {error}.")),
    }
}

/// Returns why a version is not retired, or none if nothing is lost that the operator has not named.
fn objection(kid: Kid, has_leaked: bool, uses: &VersionUses, lose: Option<usize>) -> Option<String> {
    let factors = uses.second_factors.len();
    // What a leaked key made is refused already.
    let ends = if has_leaked { 0 } else { uses.sessions + uses.codes + uses.enrollments };
    match lose {
        Some(named) if named == factors => return None,
        None if factors == 0 && ends == 0 => return None,
        _ => {}
    }
    let mut text = format!("key {kid} is in use, and nothing was done. {factors} second factors would be lost");
    let _ = match ends {
        0 => write!(text, "."),
        _ => write!(
            text,
            "; {} sessions, {} codes and {} enrollments would end, which end by themselves within a month.",
            uses.sessions, uses.codes, uses.enrollments
        ),
    };
    let _ = write!(text, " To go on all the same, say --lose {factors}");
    for user in &uses.second_factors {
        let _ = write!(text, "\n  {user}");
    }
    Some(text)
}
