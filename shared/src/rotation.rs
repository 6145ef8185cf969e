//! Secrets that a function rotates, and their versions in Secrets Manager, by use case. A version replaces the one that
//! was read, and no other (docs/adr/0020-removed-keys.md).

use std::marker::PhantomData;

use aws_sdk_secretsmanager::{
    Client,
    error::SdkError,
    operation::{
        get_secret_value::GetSecretValueError, put_secret_value::PutSecretValueError,
        update_secret_version_stage::UpdateSecretVersionStageError,
    },
};
use zeroize::Zeroizing;

use crate::{
    aws::CallError,
    base::{fault::Source, id::OperationId, random::RandomError},
    tokens::{key_schedule::KeySchedule, secret::MasterSecret},
};

// Secrets Manager's labels.
const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

/// Our own label for a version that replaces the current one outside a rotation. It keeps the version until it has the
/// other label.
const REPLACEMENT: &str = "REPLACEMENT";

/// The content of a secret that a function rotates.
pub trait Content: Sized {
    /// Reads the text of the secret. The error never repeats it.
    fn from_text(text: &str) -> Result<Self, Source>;

    /// Returns the text of the secret.
    fn to_text(&self) -> Result<Zeroizing<String>, Source>;
}

impl Content for KeySchedule {
    fn from_text(text: &str) -> Result<Self, Source> {
        Self::from_json(text).map_err(Into::into)
    }

    fn to_text(&self) -> Result<Zeroizing<String>, Source> {
        self.to_json().map_err(Into::into)
    }
}

impl Content for MasterSecret {
    fn from_text(text: &str) -> Result<Self, Source> {
        Self::from_text(text).map_err(Into::into)
    }

    fn to_text(&self) -> Result<Zeroizing<String>, Source> {
        self.to_text().map_err(Into::into)
    }
}

/// The reason why a secret cannot be read or replaced.
#[derive(Debug, thiserror::Error)]
pub enum RotatedSecretError {
    /// Secrets Manager refused or failed.
    #[error("the secret cannot be read or replaced")]
    Call(#[source] CallError),
    /// The secret does not have the format that we write, or could not be written down.
    #[error("the secret cannot be used")]
    Content(#[source] Source),
    /// The operating system returned no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// The state of a version of the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The version is being rotated in.
    Pending,
    /// The functions read the version.
    Current,
    /// Neither, or no such version exists.
    Other,
}

/// A secret that a function rotates.
#[derive(Clone, Copy, Debug)]
pub struct RotatedSecret<'a, C> {
    client: &'a Client,
    arn: &'a str,
    content: PhantomData<C>,
}

fn is_refusal(error: &UpdateSecretVersionStageError) -> bool {
    error.is_invalid_parameter_exception()
        || error.is_invalid_request_exception()
        || error.is_resource_not_found_exception()
}

fn failed<E: Into<CallError>>(error: E) -> RotatedSecretError {
    RotatedSecretError::Call(error.into())
}

impl<'a, C: Content> RotatedSecret<'a, C> {
    /// Returns the secret with this ARN, through this client.
    pub fn new(client: &'a Client, arn: &'a str) -> Self {
        Self { client, arn, content: PhantomData }
    }

    /// Returns the state of the version that this token names.
    pub async fn version(&self, token: &str) -> Result<Version, RotatedSecretError> {
        let labels = self.labels().await?;
        let has =
            |label: &str| labels.iter().any(|(version, labels)| version == token && labels.iter().any(|l| l == label));
        Ok(if has(CURRENT) {
            Version::Current
        } else if has(PENDING) {
            Version::Pending
        } else {
            Version::Other
        })
    }

    async fn labels(&self) -> Result<Vec<(String, Vec<String>)>, RotatedSecretError> {
        let output = self.client.describe_secret().secret_id(self.arn).send().await.map_err(failed)?;
        Ok(output.version_ids_to_stages.unwrap_or_default().into_iter().collect())
    }

    /// Returns the version of the secret that the functions read, and its content.
    pub async fn current(&self) -> Result<(String, C), RotatedSecretError> {
        let call = self.client.get_secret_value().secret_id(self.arn).version_stage(CURRENT);
        let output = call.send().await.map_err(failed)?;
        Ok((output.version_id.unwrap_or_default(), read(output.secret_string)?))
    }

    /// Returns the content that is being rotated in, or `None` before it is created.
    pub async fn pending(&self, token: &str) -> Result<Option<C>, RotatedSecretError> {
        let call = self.client.get_secret_value().secret_id(self.arn).version_id(token).version_stage(PENDING);
        match call.send().await {
            Ok(output) => read(output.secret_string).map(Some),
            Err(error)
                if error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Stores the content that is being rotated in.
    pub async fn put_pending(&self, token: &str, content: &C) -> Result<(), RotatedSecretError> {
        let text = write(content)?;
        let call = self.client.put_secret_value().secret_id(self.arn).client_request_token(token);
        match call.secret_string(text.as_str()).version_stages(PENDING).send().await {
            Ok(_) => Ok(()),
            // The same step ran twice at once, and the other run has stored its content, which is as good as ours.
            Err(error) if error.as_service_error().is_some_and(PutSecretValueError::is_resource_exists_exception) => {
                Ok(())
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Replaces the content in the version `current`, and no other. Returns whether it did: if not, another run has
    /// replaced that version first.
    pub async fn replace(&self, current: &str, content: &C) -> Result<bool, RotatedSecretError> {
        let (token, text) = (OperationId::generate()?.to_string(), write(content)?);
        let call = self.client.put_secret_value().secret_id(self.arn).client_request_token(&token);
        call.secret_string(text.as_str()).version_stages(REPLACEMENT).send().await.map_err(failed)?;
        match self.move_current(&token, current).await {
            Ok(()) => Ok(true),
            // The label is on another version by now, or a later replacement has taken our version's label.
            Err(error) if error.as_service_error().is_some_and(is_refusal) => {
                Ok(matches!(self.version(&token).await?, Version::Current))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes the pending version the one that the functions read, in place of `current`. Fails and changes nothing if
    /// the functions read another version by now.
    pub async fn promote(&self, token: &str, current: &str) -> Result<(), RotatedSecretError> {
        self.move_current(token, current).await.map_err(failed)
    }

    async fn move_current(&self, to: &str, from: &str) -> Result<(), SdkError<UpdateSecretVersionStageError>> {
        let call = self.client.update_secret_version_stage().secret_id(self.arn).version_stage(CURRENT);
        call.move_to_version_id(to).remove_from_version_id(from).send().await.map(|_| ())
    }

    /// Removes the pending label from the version.
    pub async fn abandon(&self, token: &str) -> Result<(), RotatedSecretError> {
        let call = self.client.update_secret_version_stage().secret_id(self.arn).version_stage(PENDING);
        call.remove_from_version_id(token).send().await.map_err(failed)?;
        Ok(())
    }
}

fn read<C: Content>(text: Option<String>) -> Result<C, RotatedSecretError> {
    let text = Zeroizing::new(text.unwrap_or_default());
    C::from_text(&text).map_err(RotatedSecretError::Content)
}

fn write<C: Content>(content: &C) -> Result<Zeroizing<String>, RotatedSecretError> {
    content.to_text().map_err(RotatedSecretError::Content)
}
