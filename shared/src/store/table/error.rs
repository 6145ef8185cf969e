//! Errors of the table.

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};

use crate::{
    aws::CallError,
    base::{fault::Source, random::RandomError},
};

/// An error of the table or of a call to it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The table cannot be reached, is throttled, or is broken. A later try may succeed.
    #[error("the table is not available")]
    Unavailable(#[source] Source),
    /// The policy of the caller's role does not allow the call.
    #[error("the role may not do this to the table: its policy lacks an action")]
    Denied(#[source] Source),
    /// An attribute of an item is missing or malformed.
    #[error("the attribute `{attribute}` of an item is missing or malformed")]
    Corrupt {
        /// The attribute's name.
        attribute: &'static str,
    },
    /// DynamoDB does not accept the call. The code or the template is at fault.
    #[error("a call to the table is invalid: the code or the template is at fault")]
    Bug(#[source] Source),
    /// No randomness is available for the operation's identifier.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl From<BuildError> for StoreError {
    fn from(error: BuildError) -> Self {
        Self::Bug(error.into())
    }
}

impl<E> From<SdkError<E>> for StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E>) -> Self {
        match CallError::from(error) {
            CallError::Unavailable(source) => Self::Unavailable(source),
            CallError::Denied(source) => Self::Denied(source),
            CallError::Wrong(source) => Self::Bug(source),
        }
    }
}
