//! What a request can end with when it does not succeed: RFC 9457 problems, one variant per documented code.

use std::{fmt::Display, time::Duration};

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    aws::CallError,
    base::{fault::Source, random::RandomError},
    domain::password::HashError,
    keyring::KeyringError,
    store::{Bucket, LimitReached, StoreError},
    tokens::{
        mfa::MfaToken,
        refresh::NotARefreshToken,
        signed::{InvalidSignedToken, IssueError},
    },
};

/// Why a request is answered with a problem. `docs/problems.md` explains each to users.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    MalformedRequest(String),
    /// The code is wrong, expired, used or was never sent; which of them is not said.
    #[error("the code is not right")]
    InvalidOtp,
    /// No account has this phone and this password; which of them is wrong is not said.
    #[error("phone or password is wrong")]
    InvalidCredentials,
    /// The access token does not hold.
    #[error("the access token does not hold: {0}")]
    InvalidToken(TokenProblem),
    /// The password is right, and a second factor is on: the token that the login goes on with, when it is one.
    #[error("a second factor is asked for")]
    MfaRequired(Option<MfaToken>),
    /// The current password, asked for again, is wrong.
    #[error("the current password is wrong")]
    WrongPassword,
    /// A code must have come back from the phone first.
    #[error("the phone is not verified")]
    PhoneNotVerified,
    /// There is nothing at this address.
    #[error("no such resource")]
    NotFound,
    /// The resource does not know this method; these it knows.
    #[error("method not allowed")]
    MethodNotAllowed(String),
    /// The phone has an account already.
    #[error("the phone has an account")]
    PhoneTaken,
    /// The body is longer than we read.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The body is not said to be JSON.
    #[error("the content type is not JSON")]
    UnsupportedMediaType,
    /// Fields are missing or wrong.
    #[error("{} fields are wrong", .0.len())]
    InvalidRequest(Vec<FieldError>),
    /// A limit was reached.
    #[error("the limit {} was reached", .bucket.as_str())]
    TooManyRequests {
        /// Which limit.
        bucket: Bucket,
        /// When the next try can succeed.
        retry_after: Duration,
    },
    /// A dependency is down. No check was skipped.
    #[error("a dependency is down")]
    TemporarilyUnavailable(#[source] Source),
    /// A fault of ours.
    #[error("internal error")]
    Internal(#[source] Source),
}

/// Why an access token does not hold. For the log: the client learns only that it is invalid.
#[derive(Debug, thiserror::Error)]
pub enum TokenProblem {
    /// No `Authorization: Bearer` header.
    #[error("there is none")]
    Missing,
    /// The token itself is bad.
    #[error(transparent)]
    Token(#[from] InvalidSignedToken),
    /// A refresh token that we did not make.
    #[error(transparent)]
    NotARefreshToken(#[from] NotARefreshToken),
    /// A refresh token that was used before: somebody has a copy. The session was ended.
    #[error("a spent refresh token was used again")]
    Reused,
    /// Not a token for the second step of a login.
    #[error("no token for a second step: {0}")]
    NotAnMfaToken(InvalidSignedToken),
    /// The login that it continues was completed, is over, or its account has changed since.
    #[error("its login does not wait any more")]
    LoginOver,
    /// Its session has ended, or its account is gone.
    #[error("its session has ended")]
    SessionEnded,
}

impl TokenProblem {
    /// Its name in the audit log.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Token(InvalidSignedToken::Expired) | Self::NotAnMfaToken(InvalidSignedToken::Expired) => "expired",
            Self::Token(_) | Self::NotARefreshToken(_) | Self::NotAnMfaToken(_) => "forged",
            Self::Reused => "reused",
            Self::LoginOver => "login-over",
            Self::SessionEnded => "session-ended",
        }
    }
}

/// One field of a request that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901) into the body.
    #[schema(example = "/phone")]
    pub pointer: String,
    /// How: a sentence.
    #[schema(example = "must be a number that can receive SMS")]
    pub detail: String,
}

impl ApiError {
    /// A field that is wrong for a reason that only a later look showed.
    pub fn invalid_field(pointer: &str, detail: &dyn Display) -> Self {
        Self::InvalidRequest(vec![FieldError { pointer: pointer.to_owned(), detail: detail.to_string() }])
    }

    /// Something that the template should have set.
    pub fn not_configured(variable: &'static str) -> Self {
        Self::Internal(format!("{variable} is not set for this function").into())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(source) => Self::TemporarilyUnavailable(source),
            error @ (StoreError::Denied(_)
            | StoreError::Corrupt { .. }
            | StoreError::Bug(_)
            | StoreError::Random(_)) => Self::Internal(error.into()),
        }
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unavailable(source) => Self::TemporarilyUnavailable(source),
            CallError::Denied(_) | CallError::Wrong(_) => Self::Internal(error.into()),
        }
    }
}

impl From<KeyringError> for ApiError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::Store(error) => error.into(),
            KeyringError::Secret(_, CallError::Unavailable(_)) | KeyringError::NoKey => {
                Self::TemporarilyUnavailable(error.into())
            }
            KeyringError::NotConfigured(_)
            | KeyringError::Secret(..)
            | KeyringError::InvalidSecret(..)
            | KeyringError::Malformed(_) => Self::Internal(error.into()),
        }
    }
}

impl From<LimitReached> for ApiError {
    fn from(reached: LimitReached) -> Self {
        Self::TooManyRequests { bucket: reached.bucket, retry_after: reached.retry_after }
    }
}

impl From<HashError> for ApiError {
    fn from(error: HashError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<RandomError> for ApiError {
    fn from(error: RandomError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<IssueError> for ApiError {
    fn from(error: IssueError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<InvalidSignedToken> for ApiError {
    fn from(problem: InvalidSignedToken) -> Self {
        Self::InvalidToken(problem.into())
    }
}
