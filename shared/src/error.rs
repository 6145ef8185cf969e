//! What a request can end with when it does not succeed: RFC 9457 problems, one variant per documented code.

use std::{error::Error as StdError, fmt::Display, time::Duration};

use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    aws::CallError,
    http::Response,
    keyring::KeyringError,
    mfa_token::MfaToken,
    password::HashError,
    random::RandomError,
    refresh_token::NotARefreshToken,
    signed_token::{InvalidSignedToken, IssueError},
    store::{LimitReached, StoreError},
    time::whole_seconds,
};

/// Anything that failed, with its own sources.
pub type Source = Box<dyn StdError + Send + Sync>;

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

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// Wrong passwords for one phone.
    LoginPhone,
    /// Logins and code tries from one address.
    LoginAddress,
    /// Registrations from one address.
    RegisterAddress,
    /// One code at a time: the resend cooldown.
    SmsCooldown,
    /// Messages to one phone.
    SmsPhone,
    /// Messages asked for from one address.
    SmsAddress,
    /// Messages to the numbers of one country.
    SmsCountry,
    /// Messages of all.
    SmsTotal,
    /// Wrong codes for one phone.
    OtpPhone,
    /// Wrong codes of the second factor of one account.
    Mfa,
}

impl Bucket {
    /// Whether it counts what everybody does, and not one phone or one address.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::SmsCountry | Self::SmsTotal)
    }

    /// Its name in answers and in keys of the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginPhone => "login-phone",
            Self::LoginAddress => "login-address",
            Self::RegisterAddress => "register-address",
            Self::SmsCooldown => "sms-cooldown",
            Self::SmsPhone => "sms-phone",
            Self::SmsAddress => "sms-address",
            Self::SmsCountry => "sms-country",
            Self::SmsTotal => "sms-total",
            Self::OtpPhone => "otp-phone",
            Self::Mfa => "mfa",
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

/// An error answer (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem, as a URI; ends in `code`.
    #[serde(rename = "type")]
    #[schema(example = "urn:latchkey:problem:invalid-request")]
    pub type_: String,
    /// The kind, in words.
    #[schema(example = "The request is not valid")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What happened and what to do next.
    pub detail: String,
    /// The kind, stable, for programs.
    #[schema(example = "invalid-request")]
    pub code: &'static str,
    /// The request's identifier, for support.
    pub instance: String,
    /// Which fields are wrong, and how (`invalid-request` only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Which limit was reached (`too-many-requests` only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<&'static str>,
    /// Goes to `POST /auth/login/mfa`, within five minutes (`mfa-required` of a login only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mfa_token: Option<String>,
    /// What can be shown: the member that each goes into is `code` for `totp` (`mfa-required` only).
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub methods: &'static [&'static str],
}

/// What a second factor can be shown by.
const MFA_METHODS: [&str; 2] = ["totp", "recovery_code"];

/// Every problem code with its status and title: the one list that `docs/problems.md` and the API's description are
/// held to.
pub const PROBLEMS: [(&str, StatusCode, &str); 16] = [
    ("malformed-request", StatusCode::BAD_REQUEST, "The body is not JSON"),
    ("invalid-otp", StatusCode::BAD_REQUEST, "The code is not right"),
    ("invalid-credentials", StatusCode::UNAUTHORIZED, "Phone or password is wrong"),
    ("invalid-token", StatusCode::UNAUTHORIZED, "The access token is not valid"),
    ("mfa-required", StatusCode::FORBIDDEN, "A second factor is needed"),
    ("wrong-password", StatusCode::FORBIDDEN, "The current password is wrong"),
    ("phone-not-verified", StatusCode::FORBIDDEN, "The phone is not verified yet"),
    ("not-found", StatusCode::NOT_FOUND, "There is nothing here"),
    ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed here"),
    ("phone-taken", StatusCode::CONFLICT, "The phone has an account already"),
    ("body-too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
    ("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body must be JSON"),
    ("invalid-request", StatusCode::UNPROCESSABLE_ENTITY, "The request is not valid"),
    ("too-many-requests", StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
    ("temporarily-unavailable", StatusCode::SERVICE_UNAVAILABLE, "Temporarily unavailable"),
    ("internal", StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side"),
];

/// How long a client waits before it tries again after a 503 (SECURITY 5.4).
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(2);

impl ApiError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MalformedRequest(_) => "malformed-request",
            Self::InvalidOtp => "invalid-otp",
            Self::InvalidCredentials => "invalid-credentials",
            Self::InvalidToken(_) => "invalid-token",
            Self::MfaRequired(_) => "mfa-required",
            Self::WrongPassword => "wrong-password",
            Self::PhoneNotVerified => "phone-not-verified",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed(_) => "method-not-allowed",
            Self::PhoneTaken => "phone-taken",
            Self::BodyTooLarge => "body-too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::InvalidRequest(_) => "invalid-request",
            Self::TooManyRequests { .. } => "too-many-requests",
            Self::TemporarilyUnavailable(_) => "temporarily-unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// A field that is wrong for a reason that only a later look showed.
    pub fn invalid_field(pointer: &str, detail: &dyn Display) -> Self {
        Self::InvalidRequest(vec![FieldError { pointer: pointer.to_owned(), detail: detail.to_string() }])
    }

    /// The phone had too many wrong passwords.
    pub fn login_throttled(retry_after: Duration) -> Self {
        Self::TooManyRequests { bucket: Bucket::LoginPhone, retry_after }
    }

    /// Something that the template should have set.
    pub fn not_configured(variable: &'static str) -> Self {
        Self::Internal(format!("{variable} is not set for this function").into())
    }

    /// What happened and what to do next, for the client. Never says what a dependency said.
    fn detail(&self) -> String {
        match self {
            Self::MalformedRequest(why) => format!("Send one JSON object: {why}."),
            Self::InvalidOtp => {
                "The code is wrong, has expired or was used already. Check it, or ask for a new one.".to_owned()
            }
            Self::InvalidCredentials => "Check the phone number and the password.".to_owned(),
            Self::InvalidToken(TokenProblem::Missing) => {
                "Send `Authorization: Bearer` with an access token from POST /auth/login.".to_owned()
            }
            Self::InvalidToken(TokenProblem::Token(InvalidSignedToken::Expired)) => {
                "The access token has expired. Refresh it, or sign in again.".to_owned()
            }
            Self::InvalidToken(
                TokenProblem::SessionEnded | TokenProblem::Reused | TokenProblem::NotARefreshToken(_),
            ) => "The session has ended. Sign in again.".to_owned(),
            Self::InvalidToken(TokenProblem::NotAnMfaToken(_) | TokenProblem::LoginOver) => {
                "`mfa_token` is used up, has expired, or is none. Start with POST /auth/login again.".to_owned()
            }
            Self::InvalidToken(TokenProblem::Token(_)) => {
                "This is not an access token of this system. Send the one of POST /auth/login, once.".to_owned()
            }
            Self::MfaRequired(Some(_)) => {
                "Send `mfa_token` with the authenticator's `code`, or with a `recovery_code`, to POST /auth/login/mfa."
                    .to_owned()
            }
            Self::MfaRequired(None) => {
                "Send the authenticator's `code`, or a `recovery_code`, along with the rest.".to_owned()
            }
            Self::WrongPassword => "The current password is not right.".to_owned(),
            Self::PhoneNotVerified => {
                "Confirm the phone first: POST /auth/verify-phone, and the code to POST /auth/verify-phone/confirm."
                    .to_owned()
            }
            Self::NotFound => "There is nothing of yours at this path. GET /docs lists the endpoints.".to_owned(),
            Self::MethodNotAllowed(allowed) => format!("This path answers {allowed}."),
            Self::PhoneTaken => "Sign in instead, or reset the password.".to_owned(),
            Self::BodyTooLarge => format!("Send at most {} bytes.", crate::http::MAX_BODY),
            Self::UnsupportedMediaType => {
                "Send `Content-Type: application/json`, and no `Content-Encoding`.".to_owned()
            }
            Self::InvalidRequest(_) => "`errors` says which fields are wrong, and how.".to_owned(),
            Self::TooManyRequests { bucket: Bucket::LoginPhone, retry_after } => format!(
                "Too many sign-in attempts for this phone. Try again in {} s, or reset the password.",
                whole_seconds(*retry_after)
            ),
            Self::TooManyRequests { bucket, retry_after } => {
                let what = match bucket {
                    Bucket::LoginPhone | Bucket::LoginAddress => "Too many sign-in attempts from this address.",
                    Bucket::RegisterAddress => "Too many registrations from this address.",
                    Bucket::SmsCooldown => "A code was sent a moment ago.",
                    Bucket::SmsPhone => "Too many codes were sent to this phone.",
                    Bucket::SmsAddress => "Too many codes were asked for from this address.",
                    Bucket::SmsCountry | Bucket::SmsTotal => "Too many codes were sent just now.",
                    Bucket::OtpPhone => {
                        "Too many wrong codes for this phone. If it has an account, the password works."
                    }
                    Bucket::Mfa => "Too many wrong codes. A recovery code helps when the authenticator does not.",
                };
                format!("{what} Try again in {} s.", whole_seconds(*retry_after))
            }
            Self::TemporarilyUnavailable(_) => "Nothing was lost. Try again in a moment.".to_owned(),
            Self::Internal(_) => "The error was logged. Quote `instance` when you report it.".to_owned(),
        }
    }

    /// The answer.
    pub fn into_response(self, request_id: &str) -> Response {
        let code = self.code();
        let (status, title) = PROBLEMS
            .iter()
            .find(|(known, ..)| *known == code)
            .map_or((StatusCode::INTERNAL_SERVER_ERROR, "Internal error"), |(_, status, title)| (*status, *title));
        let problem = Problem {
            type_: format!("urn:latchkey:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: self.detail(),
            code,
            instance: request_id.to_owned(),
            bucket: if let Self::TooManyRequests { bucket, .. } = &self { Some(bucket.as_str()) } else { None },
            mfa_token: if let Self::MfaRequired(Some(token)) = &self { Some(token.reveal().to_owned()) } else { None },
            methods: if let Self::MfaRequired(_) = &self { &MFA_METHODS } else { &[] },
            errors: if let Self::InvalidRequest(errors) = &self { errors.clone() } else { Vec::new() },
        };
        let response = Response::problem(status, &problem);
        match self {
            // RFC 9110 section 15.5.2: every 401 names a scheme. RFC 6750 section 3: without a token, no error code.
            Self::InvalidCredentials | Self::InvalidToken(TokenProblem::Missing) => {
                response.with_header(header::WWW_AUTHENTICATE, "Bearer")
            }
            Self::InvalidToken(_) => response.with_header(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""),
            Self::TooManyRequests { retry_after, .. } => {
                response.with_header(header::RETRY_AFTER, &whole_seconds(retry_after).to_string())
            }
            Self::TemporarilyUnavailable(_) => {
                response.with_header(header::RETRY_AFTER, &whole_seconds(UNAVAILABLE_RETRY_AFTER).to_string())
            }
            Self::MethodNotAllowed(allowed) => response.with_header(header::ALLOW, &allowed),
            _ => response,
        }
    }

    /// Logs it, once, where it becomes an answer: our faults as errors with their sources, the client's as information.
    pub fn log(&self) {
        match self {
            Self::TemporarilyUnavailable(source) | Self::Internal(source) => {
                tracing::error!(code = self.code(), error = %chain(source.as_ref()), "request failed");
            }
            Self::InvalidToken(problem) => tracing::info!(code = self.code(), reason = %problem, "request refused"),
            _ => tracing::info!(code = self.code(), "request refused"),
        }
    }
}

/// An error and its sources, in one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
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
