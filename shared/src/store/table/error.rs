//! Why the table did not answer as it should.

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};

use crate::{
    aws::CallError,
    base::{fault::Source, random::RandomError},
};

/// Why the table did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is throttled, or broken: worth another try later.
    #[error("the table is not available")]
    Unavailable(#[source] Source),
    /// The function's role does not allow the call.
    #[error("the function may not do this to the table")]
    Denied(#[source] Source),
    /// An item is not as we write them.
    #[error("the attribute {attribute} of an item is missing or not as we write it")]
    Corrupt {
        /// Which attribute.
        attribute: &'static str,
    },
    /// A call that DynamoDB does not take: a fault of ours, or of the template.
    #[error("a call to the table is wrong")]
    Bug(#[source] Source),
    /// No randomness for the operation's identifier.
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
