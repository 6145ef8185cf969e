//! Problems: the answer to a request that did not succeed (RFC 9457). One table holds each kind's code, status and title.

use std::time::Duration;

use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::{MAX_BODY, Response};
use crate::{
    base::{fault, time::whole_seconds},
    error::{ApiError, FieldError, TokenProblem},
    log::audit::Outcome,
    store::Bucket,
    tokens::signed::InvalidSignedToken,
};

macro_rules! problem_kinds {
    ($($kind:ident: $status:ident, $code:literal, $title:literal;)+) => {
        /// A kind of problem. `docs/problems.md` explains each to users.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProblemKind {
            $(#[doc = $title] $kind,)+
        }

        impl ProblemKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Returns the stable name of the kind, for programs.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)+ }
            }

            /// Returns the HTTP status of the answer.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)+ }
            }

            /// Returns the kind in words, for people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)+ }
            }
        }
    };
}

problem_kinds! {
    MalformedRequest: BAD_REQUEST, "malformed-request", "The body is not JSON";
    InvalidOtp: BAD_REQUEST, "invalid-otp", "The code is not right";
    InvalidCredentials: UNAUTHORIZED, "invalid-credentials", "Phone or password is wrong";
    InvalidToken: UNAUTHORIZED, "invalid-token", "The access token is not valid";
    MfaRequired: FORBIDDEN, "mfa-required", "A second factor is needed";
    WrongPassword: FORBIDDEN, "wrong-password", "The current password is wrong";
    PhoneNotVerified: FORBIDDEN, "phone-not-verified", "The phone is not verified yet";
    NotFound: NOT_FOUND, "not-found", "There is nothing here";
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here";
    PhoneTaken: CONFLICT, "phone-taken", "The phone has an account already";
    BodyTooLarge: PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large";
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body must be JSON";
    InvalidRequest: UNPROCESSABLE_ENTITY, "invalid-request", "The request is not valid";
    TooManyRequests: TOO_MANY_REQUESTS, "too-many-requests", "Too many requests";
    TemporarilyUnavailable: SERVICE_UNAVAILABLE, "temporarily-unavailable", "Temporarily unavailable";
    Internal: INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side";
}

impl ProblemKind {
    /// Returns `type` of the kind's problems: a URI that ends in the code.
    pub fn type_uri(self) -> String {
        format!("urn:latchkey:problem:{}", self.code())
    }
}

/// How long a client waits before it tries again after a 503 (docs/threats.md#f3).
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(2);

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

impl ApiError {
    /// Returns the kind of problem that the request is answered with.
    pub const fn kind(&self) -> ProblemKind {
        match self {
            Self::MalformedRequest(_) => ProblemKind::MalformedRequest,
            Self::InvalidOtp => ProblemKind::InvalidOtp,
            Self::InvalidCredentials => ProblemKind::InvalidCredentials,
            Self::InvalidToken(_) => ProblemKind::InvalidToken,
            Self::MfaRequired(_) => ProblemKind::MfaRequired,
            Self::WrongPassword => ProblemKind::WrongPassword,
            Self::PhoneNotVerified => ProblemKind::PhoneNotVerified,
            Self::NotFound => ProblemKind::NotFound,
            Self::MethodNotAllowed(_) => ProblemKind::MethodNotAllowed,
            Self::PhoneTaken => ProblemKind::PhoneTaken,
            Self::BodyTooLarge => ProblemKind::BodyTooLarge,
            Self::UnsupportedMediaType => ProblemKind::UnsupportedMediaType,
            Self::InvalidRequest(_) => ProblemKind::InvalidRequest,
            Self::TooManyRequests { .. } => ProblemKind::TooManyRequests,
            Self::TemporarilyUnavailable(_) => ProblemKind::TemporarilyUnavailable,
            Self::Internal(_) => ProblemKind::Internal,
        }
    }

    /// Returns the stable code of the problem.
    pub const fn code(&self) -> &'static str {
        self.kind().code()
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
            Self::BodyTooLarge => format!("Send at most {} bytes.", MAX_BODY),
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
                    Bucket::MessagesCooldown => "A code was sent a moment ago.",
                    Bucket::MessagesPhone => "Too many codes were sent to this phone.",
                    Bucket::MessagesAddress => "Too many codes were asked for from this address.",
                    Bucket::MessagesCountry | Bucket::MessagesTotal => "Too many codes were sent just now.",
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
        let kind = self.kind();
        let problem = Problem {
            type_: kind.type_uri(),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail: self.detail(),
            code: kind.code(),
            instance: request_id.to_owned(),
            bucket: if let Self::TooManyRequests { bucket, .. } = &self { Some(bucket.as_str()) } else { None },
            mfa_token: if let Self::MfaRequired(Some(token)) = &self { Some(token.reveal().to_owned()) } else { None },
            methods: if let Self::MfaRequired(_) = &self { &MFA_METHODS } else { &[] },
            errors: if let Self::InvalidRequest(errors) = &self { errors.clone() } else { Vec::new() },
        };
        let response = Response::problem(kind.status(), &problem);
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
                tracing::error!(code = self.code(), error = %fault::chain(source.as_ref()), "request failed");
            }
            Self::InvalidToken(problem) => tracing::info!(code = self.code(), reason = %problem, "request refused"),
            _ => tracing::info!(code = self.code(), "request refused"),
        }
    }
}

impl ApiError {
    /// Returns what the audit event says of a request that ends so.
    pub fn outcome(&self) -> Outcome<'_> {
        let reason = match self {
            Self::TooManyRequests { bucket, .. } => Some(bucket.as_str()),
            Self::InvalidToken(problem) => Some(problem.as_str()),
            _ => None,
        };
        Outcome::refused(self.code(), reason)
    }
}
