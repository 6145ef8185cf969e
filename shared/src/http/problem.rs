//! Problems: the responses to requests that did not succeed (RFC 9457). One table holds the code, status and title of
//! each kind.

use std::time::Duration;

use http::{StatusCode, header};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, Type},
};

use super::{MAX_BODY, Response};
use crate::{
    base::{
        fault,
        time::{in_words, whole_seconds},
    },
    domain::proof::SignInMethod,
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

            /// Returns the HTTP status of the response.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)+ }
            }

            /// Returns the name of the kind in words, for people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)+ }
            }
        }
    };
}

problem_kinds! {
    MalformedRequest: BAD_REQUEST, "malformed-request", "The body cannot be read as JSON";
    InvalidOtp: BAD_REQUEST, "invalid-otp", "The code is not valid";
    InvalidCredentials: UNAUTHORIZED, "invalid-credentials", "The phone or the password is wrong";
    InvalidToken: UNAUTHORIZED, "invalid-token", "The access token is not valid";
    MfaRequired: FORBIDDEN, "mfa-required", "The second factor is required";
    IdentityRequired: FORBIDDEN, "identity-required", "The phone may have another owner";
    WrongPassword: FORBIDDEN, "wrong-password", "The current password is wrong";
    ReauthenticationRequired: FORBIDDEN, "reauthentication-required", "Another proof of who you are is required";
    SignInMethodOff: FORBIDDEN, "sign-in-method-off", "This way of signing in is switched off";
    SignUpClosed: FORBIDDEN, "sign-up-closed", "No accounts are created";
    ProofRequired: FORBIDDEN, "proof-required", "A proof is required before a message is sent";
    PhoneNotVerified: FORBIDDEN, "phone-not-verified", "The phone is not verified";
    AccountParked: FORBIDDEN, "account-parked", "The account has no phone";
    PastFront: FORBIDDEN, "past-front", "The request came in past the front";
    NotFound: NOT_FOUND, "not-found", "The path or the object does not exist";
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method-not-allowed", "The path does not allow this method";
    EnrollmentOver: CONFLICT, "enrollment-over", "No enrollment waits for a code";
    MfaNotEnabled: CONFLICT, "mfa-not-enabled", "The account has no second factor";
    MfaAlreadyEnabled: CONFLICT, "mfa-already-enabled", "The second factor is on already";
    PasswordAlreadySet: CONFLICT, "password-already-set", "The account has a password already";
    PhoneTaken: CONFLICT, "phone-taken", "The phone already has an account";
    BodyTooLarge: PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large";
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The media type is not JSON";
    InvalidRequest: UNPROCESSABLE_ENTITY, "invalid-request", "The request is not valid";
    TooManyRequests: TOO_MANY_REQUESTS, "too-many-requests", "Too many requests";
    TemporarilyUnavailable: SERVICE_UNAVAILABLE, "temporarily-unavailable", "The service is temporarily unavailable";
    Internal: INTERNAL_SERVER_ERROR, "internal", "An internal error occurred";
}

impl ProblemKind {
    /// Returns `type` of the kind's problems: a URI that ends in the code.
    pub fn type_uri(self) -> String {
        format!("urn:latchkey:problem:{}", self.code())
    }
}

/// The time that a client waits after a 503 before it tries again (docs/threats.md#f3).
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(2);

/// The same after a message that was not sent. A provider is down for longer than a moment, and each request counts among the
/// requests for messages: a client that obeys this uses up those of an hour in more than an hour.
const NOT_SENT_RETRY_AFTER: Duration = Duration::from_secs(30);

/// An error response (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The kind of the problem, as a URN that ends in `code`. It names the kind, and leads to no page.
    #[serde(rename = "type")]
    #[schema(format = "uri", example = "urn:latchkey:problem:invalid-request")]
    pub type_: String,
    /// The kind in words, for people.
    #[schema(example = "The request is not valid")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422, minimum = 400, maximum = 599)]
    pub status: u16,
    /// A sentence for people: what happened and what to do next. It may change.
    pub detail: String,
    /// The stable name of the kind, for programs.
    #[schema(schema_with = code_schema)]
    pub code: &'static str,
    /// The identifier of the request. Quote it when you report an error.
    pub instance: String,
    /// The fields that are wrong, each with the reason (`invalid-request` only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The limit that was reached (`too-many-requests` only).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = bucket_schema, required = false)]
    pub bucket: Option<&'static str>,
    /// The seconds until the next try can succeed, as in `Retry-After` (`too-many-requests` and
    /// `temporarily-unavailable` only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The token that continues the login. Send it to `POST /auth/login/mfa` within five minutes, or after
    /// `identity-required` to `POST /auth/start-anew` (`mfa-required` of a login and `identity-required` only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mfa_token: Option<String>,
    /// The puzzle to solve, bound to the phone, for five minutes (`proof-required` only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub puzzle: Option<String>,
    /// The number of leading zero bits that the hash of its solution has at least (`proof-required` only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<u8>,
    /// The accepted proofs. Send `totp` in the member `code`, `proof_of_work` and `attestation` in the headers of these names,
    /// and the others in the members of their names (`mfa-required`, `identity-required` and `proof-required` only).
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(schema_with = methods_schema, required = false)]
    pub methods: &'static [&'static str],
}

/// Returns what to do where this way of signing in is switched off.
const fn other_method(off: SignInMethod) -> &'static str {
    match off {
        SignInMethod::Password => "Passwords are switched off here. Sign in with POST /auth/code.",
        SignInMethod::Code | SignInMethod::Factor => {
            "Signing in by a code is switched off here. Sign in with POST /auth/login."
        }
    }
}

/// The accepted proofs of a second factor.
pub(crate) const MFA_METHODS: [&str; 2] = ["totp", "recovery_code"];

/// Every proof that a problem may ask for.
const PROOFS: [&str; 5] = ["totp", "recovery_code", "password", "proof_of_work", "attestation"];

/// Returns the proofs that are accepted before a message is sent.
const fn proofs_before_messages(by_work: bool, by_attestation: bool) -> &'static [&'static str] {
    match (by_work, by_attestation) {
        (true, true) => &["proof_of_work", "attestation"],
        (true, false) => &["proof_of_work"],
        (false, true) => &["attestation"],
        (false, false) => &[],
    }
}

/// Says what an account asks for whose phone was not proved for long.
fn detail_of_identity(methods: &[&str]) -> String {
    let old = match methods {
        [] => "Nothing else proves that it is yours; its operator may help.".to_owned(),
        methods => format!(
            "If it is yours, send `mfa_token` with its {} to POST /auth/login/mfa.",
            methods.iter().map(|name| member_of(name)).collect::<Vec<_>>().join(" or ")
        ),
    };
    format!(
        "This phone has an account that its owner has not proved it for in a long time. {old} If it is not, send \
         `mfa_token` to POST /auth/start-anew for a new account."
    )
}

/// The number of wrong fields that the sentence for people names. `errors` has all of them.
const NAMED_FIELDS: usize = 3;

/// Says which fields are wrong, and how.
fn detail_of_fields(errors: &[FieldError]) -> String {
    let named =
        errors.iter().take(NAMED_FIELDS).map(|FieldError { pointer, detail }| match pointer.strip_prefix('/') {
            Some(name) => format!("`{name}` {detail}"),
            // It is about the whole request, and says so itself.
            None => detail.clone(),
        });
    let more = (errors.len() > NAMED_FIELDS).then(|| "`errors` has more".to_owned());
    named.chain(more).map(|sentence| format!("{sentence}.")).collect::<Vec<_>>().join(" ")
}

/// Says which limit is reached, and when to try again.
fn detail_of_limit(bucket: Bucket, retry_after: Duration) -> String {
    let wait = in_words(retry_after);
    let what = match bucket {
        Bucket::LoginPhone => {
            return format!("Too many sign-in attempts for this phone. Try again in {wait}, or reset the password.");
        }
        Bucket::LoginAddress => "Too many sign-in attempts from this address.",
        Bucket::LoginDevice => {
            return format!("Too many wrong passwords on this device. Try again in {wait}, or reset the password.");
        }
        Bucket::LoginSession => "Too many wrong passwords in this session.",
        Bucket::RegisterAddress => "Too many registrations from this address.",
        Bucket::MessagesCooldown => "A code was sent a moment ago.",
        Bucket::MessagesPhone | Bucket::MessagesDevice | Bucket::CodesPhone => {
            "Too many codes were requested for this phone."
        }
        Bucket::MessagesAccount | Bucket::MessageRequests => "Too many messages were requested.",
        Bucket::MessagesAddress | Bucket::AddressPhones => "Too many messages were requested from this address.",
        Bucket::AddressCountries => "Messages to too many countries were requested from this address.",
        Bucket::MessagesCountry | Bucket::MessagesTotal => "The service has sent too many messages.",
        Bucket::OtpPhone => "Too many wrong codes for this phone. If it has an account, its password still works.",
        Bucket::Mfa => "Too many wrong codes of the authenticator. A recovery code works at once.",
    };
    format!("{what} Try again in {wait}.")
}

/// Says why a token is not valid, and what to do.
const fn detail_of_token(problem: &TokenProblem) -> &'static str {
    match problem {
        TokenProblem::Missing => {
            "No access token was sent. Send the one from POST /auth/login as `Authorization: Bearer …`."
        }
        TokenProblem::Token(InvalidSignedToken::Expired) => {
            "The access token has expired. Get a new one with POST /auth/refresh, or sign in again."
        }
        TokenProblem::Token(_) => {
            "The access token is malformed or of another system. Send the one from POST /auth/login unchanged."
        }
        TokenProblem::SessionRenewed => {
            "The change was made, and the session has ended with it. Use the tokens of its response, or sign in again."
        }
        TokenProblem::SessionEnded | TokenProblem::Reused | TokenProblem::WithdrawnKey => {
            "The session has ended. Sign in again."
        }
        TokenProblem::Superseded => {
            "The refresh token was exchanged, and so was the next one. The session goes on: send its newest refresh token."
        }
        TokenProblem::NotARefreshToken(_) => {
            "The text is no refresh token of this service. Send the one from the last response unchanged."
        }
        TokenProblem::NotAnMfaToken(InvalidSignedToken::Expired) => {
            "`mfa_token` has expired: it is good for five minutes. Start again with POST /auth/login or POST /auth/code."
        }
        TokenProblem::NotAnMfaToken(_) => {
            "`mfa_token` is malformed or of another system. Send the one from the last response unchanged, or start again \
             with POST /auth/login or POST /auth/code."
        }
        TokenProblem::LoginOver => {
            "The sign-in of this `mfa_token` is over: it was completed, was tried too often, or the account has changed \
             since. Start again with POST /auth/login or POST /auth/code."
        }
    }
}

/// Returns the member of a request that a proof is sent in, as a sentence names it.
fn member_of(proof: &str) -> &'static str {
    match proof {
        "password" => "`password`",
        "totp" => "authenticator's `code`",
        _ => "`recovery_code`",
    }
}

/// Returns the schema of a member of [`Problem`] that has one of these values.
fn one_of(values: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values))
}

/// Returns the schema of `code`.
fn code_schema() -> Object {
    let description = "The stable name of the kind, for programs.";
    one_of(ProblemKind::ALL.iter().map(|kind| kind.code())).description(Some(description)).build()
}

/// Returns the schema of `bucket`.
fn bucket_schema() -> Object {
    let description = "The limit that was reached (`too-many-requests` only).";
    one_of(Bucket::ALL.iter().map(|bucket| bucket.as_str())).description(Some(description)).build()
}

/// Returns the schema of `methods`.
fn methods_schema() -> Array {
    ArrayBuilder::new()
        .items(one_of(PROOFS))
        .description(Some(
            "The accepted proofs. Send `totp` in the member `code`, `proof_of_work` and `attestation` in the headers of \
             these names, and the others in the members of their names (`mfa-required`, `identity-required` and \
             `proof-required` only).",
        ))
        .build()
}

impl ApiError {
    /// Returns the kind of the problem that the client gets.
    pub const fn kind(&self) -> ProblemKind {
        match self {
            Self::MalformedRequest(_) => ProblemKind::MalformedRequest,
            Self::InvalidOtp | Self::WrongTotp | Self::UsedTotp | Self::WrongRecoveryCode => ProblemKind::InvalidOtp,
            Self::InvalidCredentials => ProblemKind::InvalidCredentials,
            Self::InvalidToken(_) => ProblemKind::InvalidToken,
            Self::MfaRequired(_) => ProblemKind::MfaRequired,
            Self::IdentityRequired(..) => ProblemKind::IdentityRequired,
            Self::AccountParked => ProblemKind::AccountParked,
            Self::WrongPassword | Self::NoPassword => ProblemKind::WrongPassword,
            Self::ReauthenticationRequired => ProblemKind::ReauthenticationRequired,
            Self::SignInMethodOff(_) => ProblemKind::SignInMethodOff,
            Self::SignUpClosed => ProblemKind::SignUpClosed,
            Self::PastFront => ProblemKind::PastFront,
            Self::PasswordAlreadySet => ProblemKind::PasswordAlreadySet,
            Self::PhoneNotVerified => ProblemKind::PhoneNotVerified,
            Self::ProofRequired { .. } => ProblemKind::ProofRequired,
            Self::NotFound | Self::NoSuchSession => ProblemKind::NotFound,
            Self::MethodNotAllowed(_) => ProblemKind::MethodNotAllowed,
            Self::EnrollmentOver => ProblemKind::EnrollmentOver,
            Self::MfaNotEnabled => ProblemKind::MfaNotEnabled,
            Self::MfaAlreadyEnabled => ProblemKind::MfaAlreadyEnabled,
            Self::PhoneTaken => ProblemKind::PhoneTaken,
            Self::BodyTooLarge => ProblemKind::BodyTooLarge,
            Self::UnsupportedMediaType => ProblemKind::UnsupportedMediaType,
            Self::InvalidRequest(_) => ProblemKind::InvalidRequest,
            Self::TooManyRequests { .. } => ProblemKind::TooManyRequests,
            Self::TemporarilyUnavailable(_) | Self::MessageNotSent => ProblemKind::TemporarilyUnavailable,
            Self::Internal(_) => ProblemKind::Internal,
        }
    }

    /// Returns the stable code of the problem.
    pub const fn code(&self) -> &'static str {
        self.kind().code()
    }

    /// Tells the client what happened and what to do next. Never repeats the message of a dependency.
    fn detail(&self) -> String {
        match self {
            Self::MalformedRequest(why) => format!("The body cannot be read: {why}."),
            Self::InvalidOtp => {
                "The code is wrong, expired, used, or was never sent. Check it, or request a new one.".to_owned()
            }
            Self::WrongTotp | Self::UsedTotp => {
                "The authenticator's code is wrong, too old, or was used. Enter the next one, and check \
                                that the phone's clock is set automatically."
                    .to_owned()
            }
            Self::WrongRecoveryCode => {
                "The recovery code is wrong or was used. Check it, or use another one.".to_owned()
            }
            Self::InvalidCredentials => "Check the phone and the password.".to_owned(),
            Self::InvalidToken(problem) => detail_of_token(problem).to_owned(),
            Self::MfaRequired(Some(_)) => {
                "Send `mfa_token` with the authenticator's `code`, or with a `recovery_code`, to POST /auth/login/mfa."
                    .to_owned()
            }
            Self::MfaRequired(None) => {
                "Repeat the request with the authenticator's `code`, or with a `recovery_code`.".to_owned()
            }
            Self::IdentityRequired(_, methods) => detail_of_identity(methods),
            Self::AccountParked => {
                "Another account has its phone now. Give it a new one with POST /auth/change-phone.".to_owned()
            }
            Self::WrongPassword => "Check the current password. Wrong ones count like wrong logins.".to_owned(),
            Self::NoPassword => {
                "The account has no password. Set one with POST /auth/set-password, or prove who you are with a code: \
                 POST /auth/code, then POST /auth/step-up."
                    .to_owned()
            }
            Self::ReauthenticationRequired => {
                "Your last proof is older than ten minutes. Prove who you are with POST /auth/step-up, and repeat the \
                 request with its tokens; an account with a password may repeat it with `password`."
                    .to_owned()
            }
            Self::SignInMethodOff(method) => other_method(*method).to_owned(),
            Self::SignUpClosed => "This service creates no accounts by itself. Ask its operator for one.".to_owned(),
            Self::PasswordAlreadySet => "Change it with POST /auth/change-password.".to_owned(),
            Self::PhoneNotVerified => {
                "Request a code with POST /auth/verify-phone, and send it to POST /auth/verify-phone/confirm."
                    .to_owned()
            }
            Self::ProofRequired { puzzle: Some(_), .. } => {
                "Many messages are being requested. Solve the puzzle: find a text for which SHA-256 of `puzzle`, a dot and \
                 the text begins with `bits` zero bits, and repeat the request with these three as the header \
                 `Proof-Of-Work`."
                    .to_owned()
            }
            Self::ProofRequired { puzzle: None, .. } => {
                "Many messages are being requested. Repeat the request with an attestation for this phone in the header \
                 `Attestation`."
                    .to_owned()
            }
            Self::PastFront => "Send requests to the public address of this service.".to_owned(),
            Self::NotFound => {
                "No endpoint has this path, or the object is not yours. No path ends with a slash; GET /docs lists them."
                    .to_owned()
            }
            Self::NoSuchSession => {
                "You have no session with this identifier, or it has ended. GET /auth/sessions lists those that you have."
                    .to_owned()
            }
            Self::MethodNotAllowed(allowed) => format!("This path allows {allowed}."),
            Self::EnrollmentOver => "No enrollment waits for this code: none was begun, it was tried five times, ten \
                                     minutes have passed, or the account has changed. Start again with POST \
                                     /auth/mfa/enroll."
                .to_owned(),
            Self::MfaNotEnabled => "Enroll an authenticator with POST /auth/mfa/enroll first.".to_owned(),
            Self::MfaAlreadyEnabled => "The second factor is on, and no other enrollment waits for a code. To replace the \
                                        authenticator, start with POST /auth/mfa/enroll."
                .to_owned(),
            Self::PhoneTaken => "Sign in, or reset the password.".to_owned(),
            Self::BodyTooLarge => format!("Send at most {MAX_BODY} bytes."),
            Self::UnsupportedMediaType => {
                "Send `Content-Type: application/json`, and no `Content-Encoding` but `identity`.".to_owned()
            }
            Self::InvalidRequest(errors) => detail_of_fields(errors),
            Self::TooManyRequests { bucket, retry_after } => detail_of_limit(*bucket, *retry_after),
            Self::MessageNotSent => "The message could not be sent. Try again after `Retry-After`.".to_owned(),
            Self::TemporarilyUnavailable(_) => "Nothing was lost. Try again after `Retry-After`.".to_owned(),
            Self::Internal(_) => "The error was logged. Quote `instance` when you report it.".to_owned(),
        }
    }

    /// Returns the seconds that the client waits before it tries again.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyRequests { retry_after, .. } => Some(whole_seconds(*retry_after)),
            Self::TemporarilyUnavailable(_) => Some(whole_seconds(UNAVAILABLE_RETRY_AFTER)),
            Self::MessageNotSent => Some(whole_seconds(NOT_SENT_RETRY_AFTER)),
            _ => None,
        }
    }

    /// Returns the problem that the client gets.
    pub(super) fn problem(&self, request_id: &str) -> Problem {
        let kind = self.kind();
        Problem {
            type_: kind.type_uri(),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail: self.detail(),
            code: kind.code(),
            instance: request_id.to_owned(),
            bucket: if let Self::TooManyRequests { bucket, .. } = self { Some(bucket.as_str()) } else { None },
            retry_after: self.retry_after(),
            mfa_token: match self {
                Self::MfaRequired(Some(token)) | Self::IdentityRequired(token, _) => Some(token.reveal().to_owned()),
                _ => None,
            },
            puzzle: match self {
                Self::ProofRequired { puzzle: Some((puzzle, _)), .. } => Some(puzzle.as_str().to_owned()),
                _ => None,
            },
            bits: match self {
                Self::ProofRequired { puzzle: Some((_, bits)), .. } => Some(*bits),
                _ => None,
            },
            methods: match self {
                Self::ProofRequired { puzzle, takes_attestation } => {
                    proofs_before_messages(puzzle.is_some(), *takes_attestation)
                }
                Self::MfaRequired(_) => &MFA_METHODS,
                Self::IdentityRequired(_, methods) => methods,
                _ => &[],
            },
            errors: if let Self::InvalidRequest(errors) = self { errors.clone() } else { Vec::new() },
        }
    }

    /// Converts the error into the response that the client gets.
    pub fn into_response(self, request_id: &str) -> Response {
        let mut response = Response::problem(self.kind().status(), &self.problem(request_id));
        if let Some(seconds) = self.retry_after() {
            response = response.with_header(header::RETRY_AFTER, &seconds.to_string());
        }
        match self {
            // RFC 9110 section 15.5.2: every 401 names a scheme. RFC 6750 section 3: without a token, no error code.
            Self::InvalidCredentials | Self::InvalidToken(TokenProblem::Missing) => {
                response.with_header(header::WWW_AUTHENTICATE, "Bearer")
            }
            Self::InvalidToken(_) => response.with_header(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""),
            Self::MethodNotAllowed(allowed) => response.with_header(header::ALLOW, &allowed),
            _ => response,
        }
    }

    /// Logs the error, once, where it becomes a response: our faults as errors with their sources, the client's as
    /// information.
    pub fn log(&self) {
        match self {
            Self::TemporarilyUnavailable(source) | Self::Internal(source) => {
                tracing::error!(code = self.code(), error = %fault::chain(source.as_ref()), "request failed");
            }
            Self::MessageNotSent => tracing::error!(code = self.code(), error = %self, "request failed"),
            Self::InvalidToken(problem) => tracing::info!(code = self.code(), reason = %problem, "request refused"),
            _ => tracing::info!(code = self.code(), "request refused"),
        }
    }
}

impl ApiError {
    /// Returns the outcome that the audit event records.
    pub fn outcome(&self) -> Outcome<'_> {
        let reason = match self {
            Self::TooManyRequests { bucket, .. } => Some(bucket.as_str()),
            Self::InvalidToken(problem) => Some(problem.as_str()),
            _ => None,
        };
        Outcome::refused(self.code(), reason)
    }
}
