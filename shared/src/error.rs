//! The errors that a request can end with. Each becomes a documented problem (RFC 9457).

use std::{fmt::Display, time::Duration};

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    aws::CallError,
    base::{fault::Source, random::RandomError},
    domain::{password::HashError, proof::SignInMethod},
    keyring::KeyringError,
    rotation::RotatedSecretError,
    store::{Bucket, LimitReached, StoreError},
    tokens::{
        mfa::MfaToken,
        puzzle::Puzzle,
        refresh::NotARefreshToken,
        signed::{InvalidSignedToken, IssueError},
    },
};

/// An error that becomes a problem in the response. `docs/problems.md` explains each to users.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body is empty, not JSON, or has a duplicate member; the text says which.
    #[error("the body cannot be read: {0}")]
    MalformedRequest(String),
    /// The code of a message is wrong, expired, used, or was never sent; the response does not reveal which.
    #[error("the code is wrong, expired, used, or was never sent")]
    InvalidOtp,
    /// The TOTP code is wrong, of a step that is too far from ours, or was used.
    #[error("the TOTP code is wrong, of another time, or used")]
    WrongTotp,
    /// The same of a TOTP code that was right and was used before. The client gets the same problem.
    #[error("the authenticator's code was used")]
    UsedTotp,
    /// The recovery code is wrong or was used.
    #[error("the recovery code is wrong or used")]
    WrongRecoveryCode,
    /// No account has this phone with this password; the response does not reveal which is wrong.
    #[error("the phone or the password is wrong")]
    InvalidCredentials,
    /// The access token, the refresh token or the token of a login's second step is not valid.
    #[error("the token is not valid: {0}")]
    InvalidToken(TokenProblem),
    /// The account has a second factor, and the request has no proof of it. At a login, the token continues it.
    #[error("the second factor is required")]
    MfaRequired(Option<MfaToken>),
    /// The phone of the account was not proved for so long that it may be somebody else's by now, so that its code is not
    /// enough. The token goes on with one of these proofs, or with a new account.
    #[error("the phone was not proved for long")]
    IdentityRequired(MfaToken, &'static [&'static str]),
    /// The account is parked and has no phone.
    #[error("the account has no phone")]
    AccountParked,
    /// The current password, which the endpoint requires again, is wrong.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The account has no password, and the request has one. The client gets the same problem as for a wrong one.
    #[error("the account has no password")]
    NoPassword,
    /// The user last proved who they are too long ago.
    #[error("the last proof is too old")]
    ReauthenticationRequired,
    /// This way of signing in is switched off (`SIGN_IN_METHODS`).
    #[error("signing in by {} is switched off", .0.as_str())]
    SignInMethodOff(SignInMethod),
    /// No accounts are created (`SIGN_UP`).
    #[error("sign-up is closed")]
    SignUpClosed,
    /// The account has a password already, so that one is changed and not set.
    #[error("the account has a password")]
    PasswordAlreadySet,
    /// A second factor requires a verified phone.
    #[error("the phone is not verified")]
    PhoneNotVerified,
    /// The request came in past the front, although the front is the only way (`TRUSTED_FRONT_ONLY`).
    #[error("the request came in past the front")]
    PastFront,
    /// No endpoint has this path, or the object is not the caller's.
    #[error("the path or the object does not exist")]
    NotFound,
    /// The caller has no session with this identifier.
    #[error("the caller has no such session")]
    NoSuchSession,
    /// The path has other methods: these, as `Allow` names them.
    #[error("the path does not allow this method; it allows {0}")]
    MethodNotAllowed(String),
    /// No enrollment of an authenticator waits for a code: none was begun, or it is over.
    #[error("no enrollment waits for a code")]
    EnrollmentOver,
    /// The account has no second factor, and the request is about the one that it has.
    #[error("the account has no second factor")]
    MfaNotEnabled,
    /// The account has a second factor, and no enrollment of another one waits for a code.
    #[error("the account has a second factor, and no enrollment waits")]
    MfaAlreadyEnabled,
    /// The phone already has an account.
    #[error("the phone already has an account")]
    PhoneTaken,
    /// The body is longer than we accept.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The content type is not JSON, or the body is compressed.
    #[error("the content type is not JSON, or the body is compressed")]
    UnsupportedMediaType,
    /// Fields are missing or wrong.
    #[error("{} fields are wrong", .0.len())]
    InvalidRequest(Vec<FieldError>),
    /// A budget that strangers share is half used up, and the request has no proof that it is worth a message.
    #[error("a proof is required")]
    ProofRequired {
        /// The puzzle that a client may solve, and its bits, if there are puzzles.
        puzzle: Option<(Puzzle, u8)>,
        /// Whether an attestation is accepted.
        takes_attestation: bool,
    },
    /// A limit was reached.
    #[error("the limit {} was reached", .bucket.as_str())]
    TooManyRequests {
        /// The bucket of the limit.
        bucket: Bucket,
        /// The time until the next try can succeed.
        retry_after: Duration,
    },
    /// The provider certainly did not send the message. What it was charged is given back.
    #[error("the message was not sent")]
    MessageNotSent,
    /// A dependency is down. No check was skipped.
    #[error("a dependency is down")]
    TemporarilyUnavailable(#[source] Source),
    /// A fault of ours.
    #[error("internal error")]
    Internal(#[source] Source),
}

/// The reason why a token is not valid, for the log. The client learns only what to do next.
#[derive(Debug, thiserror::Error)]
pub enum TokenProblem {
    /// The request has no `Authorization: Bearer`.
    #[error("the request has no bearer token")]
    Missing,
    /// The access token itself is not valid.
    #[error(transparent)]
    Token(#[from] InvalidSignedToken),
    /// The text is not a refresh token that we made.
    #[error(transparent)]
    NotARefreshToken(#[from] NotARefreshToken),
    /// The key of the refresh token has leaked or was retired, so that it proves nothing any more.
    #[error("its key has leaked or was retired")]
    WithdrawnKey,
    /// A spent refresh token was used again, so somebody has a copy. The session was ended.
    #[error("a spent refresh token was used again")]
    Reused,
    /// The text is not a token for the second step of a login.
    #[error("not a token for the second step of a login: {0}")]
    NotAnMfaToken(InvalidSignedToken),
    /// The login that the token continues was completed or is over, or its account has changed since.
    #[error("its login is over")]
    LoginOver,
    /// The session of the token has ended, or its account is deleted.
    #[error("its session has ended")]
    SessionEnded,
    /// The refresh token was exchanged, and so was its successor. The session is alive.
    #[error("it was exchanged, and so was its successor")]
    Superseded,
    /// A change of the account that the session asked for has replaced it by another one. The response may have been
    /// lost.
    #[error("a change of the account has replaced the session")]
    SessionRenewed,
}

impl TokenProblem {
    /// Returns the name of the reason in the audit log.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Token(InvalidSignedToken::Expired) | Self::NotAnMfaToken(InvalidSignedToken::Expired) => "expired",
            Self::Token(_) | Self::NotARefreshToken(_) | Self::NotAnMfaToken(_) => "forged",
            Self::WithdrawnKey => "withdrawn-key",
            Self::Reused => "reused",
            Self::LoginOver => "login-over",
            Self::SessionEnded => "session-ended",
            Self::Superseded => "superseded",
            Self::SessionRenewed => "session-renewed",
        }
    }
}

/// One field of a request that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field, as a JSON pointer (RFC 6901) into the body.
    #[schema(example = "/phone")]
    pub pointer: String,
    /// The reason, for people. It may change.
    #[schema(example = "must be a number that can receive SMS")]
    pub detail: String,
}

impl ApiError {
    /// Returns the error for one field that was found wrong after the body had been read.
    pub fn invalid_field(pointer: &str, detail: &dyn Display) -> Self {
        Self::InvalidRequest(vec![FieldError { pointer: pointer.to_owned(), detail: detail.to_string() }])
    }

    /// Returns the error for what stands for a phone that gets no messages, in this field.
    pub fn not_served(pointer: &str, why: &dyn Display) -> Self {
        Self::invalid_field(pointer, &format!("belongs to a phone that gets no messages: it {why}"))
    }

    /// Returns the error for a variable that `template.yaml` should have set for this function.
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

impl From<RotatedSecretError> for ApiError {
    fn from(error: RotatedSecretError) -> Self {
        match error {
            RotatedSecretError::Call(error) => error.into(),
            RotatedSecretError::Content(source) => Self::Internal(source),
            RotatedSecretError::Random(error) => error.into(),
        }
    }
}

impl From<KeyringError> for ApiError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::Store(error) => error.into(),
            KeyringError::Secret(_, CallError::Unavailable(_))
            | KeyringError::NoKey
            | KeyringError::UnknownVersion(_) => Self::TemporarilyUnavailable(error.into()),
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
