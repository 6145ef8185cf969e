//! The secret of the signing keys and its versions, by use case.

use aws_sdk_secretsmanager::{
    Client,
    error::SdkError,
    operation::{
        get_secret_value::GetSecretValueError, put_secret_value::PutSecretValueError,
        update_secret_version_stage::UpdateSecretVersionStageError,
    },
};
use latchkey::{ApiError, aws::CallError, base::id::OperationId, tokens::key_schedule::KeySchedule};
use zeroize::Zeroizing;

// Secrets Manager's labels.
const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

/// Our own label for a version that replaces the current one outside a rotation. It keeps the version until it has the
/// other label.
const REPLACEMENT: &str = "REPLACEMENT";

/// The state of a version of the secret.
pub(crate) enum Version {
    /// The version is being rotated in.
    Pending,
    /// The functions read the version.
    Current,
    /// Neither, or no such version exists.
    Other,
}

/// The secret of the signing keys.
pub(crate) struct RotatedSecret<'a> {
    client: &'a Client,
    arn: &'a str,
}

fn is_refusal(error: &UpdateSecretVersionStageError) -> bool {
    error.is_invalid_parameter_exception()
        || error.is_invalid_request_exception()
        || error.is_resource_not_found_exception()
}

fn failed<E: Into<CallError>>(error: E) -> ApiError {
    error.into().into()
}

impl<'a> RotatedSecret<'a> {
    pub(crate) fn new(client: &'a Client, arn: &'a str) -> Self {
        Self { client, arn }
    }

    /// Returns the state of the version that this token names.
    pub(crate) async fn version(&self, token: &str) -> Result<Version, ApiError> {
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

    async fn labels(&self) -> Result<Vec<(String, Vec<String>)>, ApiError> {
        let output = self.client.describe_secret().secret_id(self.arn).send().await.map_err(failed)?;
        Ok(output.version_ids_to_stages.unwrap_or_default().into_iter().collect())
    }

    /// Returns the version of the secret that the functions read, and its schedule.
    pub(crate) async fn current(&self) -> Result<(String, KeySchedule), ApiError> {
        let call = self.client.get_secret_value().secret_id(self.arn).version_stage(CURRENT);
        let output = call.send().await.map_err(failed)?;
        Ok((output.version_id.unwrap_or_default(), schedule(output.secret_string)?))
    }

    /// Returns the schedule that is being rotated in, or `None` before it is created.
    pub(crate) async fn pending(&self, token: &str) -> Result<Option<KeySchedule>, ApiError> {
        let call = self.client.get_secret_value().secret_id(self.arn).version_id(token).version_stage(PENDING);
        match call.send().await {
            Ok(output) => schedule(output.secret_string).map(Some),
            Err(error)
                if error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    pub(crate) async fn put_pending(&self, token: &str, schedule: &KeySchedule) -> Result<(), ApiError> {
        let text = json(schedule)?;
        let call = self.client.put_secret_value().secret_id(self.arn).client_request_token(token);
        match call.secret_string(text.as_str()).version_stages(PENDING).send().await {
            Ok(_) => Ok(()),
            // The same step ran twice at once, and the other run has stored its schedule, which is as good as ours.
            Err(error) if error.as_service_error().is_some_and(PutSecretValueError::is_resource_exists_exception) => {
                Ok(())
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Replaces the schedule in the version `current`, and no other. Returns whether it did: if not, another run has
    /// replaced that version first.
    pub(crate) async fn replace(&self, current: &str, schedule: &KeySchedule) -> Result<bool, ApiError> {
        let (token, text) = (OperationId::generate()?.to_string(), json(schedule)?);
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
    pub(crate) async fn promote(&self, token: &str, current: &str) -> Result<(), ApiError> {
        self.move_current(token, current).await.map_err(failed)
    }

    async fn move_current(&self, to: &str, from: &str) -> Result<(), SdkError<UpdateSecretVersionStageError>> {
        let call = self.client.update_secret_version_stage().secret_id(self.arn).version_stage(CURRENT);
        call.move_to_version_id(to).remove_from_version_id(from).send().await.map(|_| ())
    }

    /// Removes the pending label from the version.
    pub(crate) async fn abandon(&self, token: &str) -> Result<(), ApiError> {
        let call = self.client.update_secret_version_stage().secret_id(self.arn).version_stage(PENDING);
        call.remove_from_version_id(token).send().await.map_err(failed)?;
        Ok(())
    }
}

fn schedule(text: Option<String>) -> Result<KeySchedule, ApiError> {
    let text = Zeroizing::new(text.unwrap_or_default());
    KeySchedule::from_json(&text).map_err(|error| ApiError::Internal(error.into()))
}

fn json(schedule: &KeySchedule) -> Result<Zeroizing<String>, ApiError> {
    schedule.to_json().map_err(|error| ApiError::Internal(error.into()))
}
