//! The problems that endpoints respond with, as their OpenAPI descriptions list them: each with an example, generated
//! from the one list of problems.

use std::{collections::BTreeMap, time::Duration};

use utoipa::{
    IntoParams, IntoResponses,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        example::ExampleBuilder,
        header::HeaderBuilder,
        schema::{ObjectBuilder, Type},
    },
};

use super::problem::ProblemKind;
use crate::{
    domain::{phone::InvalidPhone, proof::SignInMethod},
    error::{ApiError, TokenProblem},
    store::Bucket,
    tokens::{mfa::MfaToken, puzzle::Puzzle, signed::InvalidSignedToken},
};

/// The headers by which a caller shows a proof before a message is sent (docs/adr/0055-proofs-before-messages.md).
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is the description alone; `ShownProofs` reads the headers")]
pub struct ProofHeaders {
    /// The solution of the `puzzle` of a `proof-required`: the puzzle, a dot, and the text that solves it.
    #[param(rename = "Proof-Of-Work")]
    proof_of_work: Option<String>,
    /// An attestation by the operator's own function, in place of a solution.
    #[param(rename = "Attestation")]
    attestation: Option<String>,
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident: $($kind:ident),+;)+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                by_status(&[$(ProblemKind::$kind),+])
            }
        }
    )+

        /// Every list of problems.
        const GROUPS: &[&[ProblemKind]] = &[$(&[$(ProblemKind::$kind),+]),+];
    };
}

problems! {
    /// Problems of endpoints that read a body.
    BodyProblems: MalformedRequest, BodyTooLarge, UnsupportedMediaType, InvalidRequest;
    /// Problems of endpoints that read a body with a one-time code.
    CodeProblems: MalformedRequest, InvalidOtp, BodyTooLarge, UnsupportedMediaType, InvalidRequest;
    /// The problem of endpoints that require an access token.
    TokenProblems: InvalidToken;
    /// The problem of endpoints that compare phone and password.
    CredentialProblems: InvalidCredentials;
    /// The problem of endpoints that require the current password again.
    PasswordProblems: WrongPassword;
    /// The problem of endpoints that require the second factor of an account that has one.
    MfaProblems: MfaRequired;
    /// The problem of endpoints that a setting may switch off.
    MethodProblems: SignInMethodOff;
    /// Problems of endpoints that a setting may switch off, and that send a message.
    MessageProblems: SignInMethodOff, ProofRequired;
    /// Problems of endpoints that send a message to the account's own phone, which it may have lost.
    OwnMessageProblems: ProofRequired, AccountParked;
    /// Problems of the endpoint that creates accounts with a password, perhaps by a message.
    SignUpProblems: SignInMethodOff, SignUpClosed, ProofRequired;
    /// Problems of the endpoint that sets a first password.
    SetPasswordProblems: MfaRequired, ReauthenticationRequired, SignInMethodOff, PasswordAlreadySet;
    /// Problems of endpoints that complete a sign-in, whose second step may follow.
    SignInProblems: MfaRequired, IdentityRequired, SignInMethodOff;
    /// Problems of a password reset, whose second step may follow.
    ResetProblems: MfaRequired, IdentityRequired, SignInMethodOff;
    /// Problems of an activation, whose phone may have another account's.
    ActivationProblems: IdentityRequired, SignInMethodOff;
    /// Problems of the endpoint that starts a new account in place of an old one.
    StartAnewProblems: SignInMethodOff, SignUpClosed;
    /// Problems of the endpoint that opens a parked account.
    RecoveryProblems: MfaRequired;
    /// The problem of endpoints that an account without a phone cannot use.
    ParkedProblems: AccountParked;
    /// Problems of the endpoint by which signed-in callers prove again who they are.
    StepUpProblems: WrongPassword, MfaRequired, SignInMethodOff, MfaNotEnabled;
    /// Problems of endpoints that require the current password again, and the second factor of an account that has one.
    ReauthenticationProblems: WrongPassword, MfaRequired, ReauthenticationRequired;
    /// Problems of the endpoint that changes the phone: it requires the same, and sends a message.
    ChangePhoneProblems: WrongPassword, MfaRequired, ReauthenticationRequired, ProofRequired;
    /// Problems of the endpoint that enrolls an authenticator: it requires the same, and a verified phone.
    EnrollmentProblems: WrongPassword, MfaRequired, ReauthenticationRequired, PhoneNotVerified, AccountParked;
    /// Problems of the endpoint that confirms an enrollment.
    ConfirmationProblems: EnrollmentOver, MfaAlreadyEnabled;
    /// The problem of endpoints about the second factor that an account has.
    FactorProblems: MfaNotEnabled;
    /// The problem of endpoints that give a phone to an account.
    PhoneProblems: PhoneTaken;
    /// The problem of endpoints that send a message to the account's own phone, which may be one that is not served.
    RecipientProblems: InvalidRequest;
    /// The problem of endpoints whose path names one object.
    NotFoundProblems: NotFound;
    /// The problem of endpoints with a limit.
    LimitProblems: TooManyRequests;
    /// Problems of every endpoint: a fault of ours, or a dependency that is down.
    ServerProblems: Internal, TemporarilyUnavailable;
}

/// The problem of every endpoint, if the operator allows no way but the one through the front.
const OF_ALL: ProblemKind = ProblemKind::PastFront;

/// Adds the problem that every endpoint may have to the responses of one that has no other of its status.
pub fn add_problem_of_all(responses: &mut BTreeMap<String, RefOr<Response>>) {
    responses
        .entry(OF_ALL.status().as_str().to_owned())
        .or_insert_with(|| RefOr::Ref(Ref::from_response_name(name(&[OF_ALL]))));
}

/// The response of API Gateway to a caller beyond the rates of `template.yaml`. It is no problem of ours and has no
/// members to rely on, and every endpoint may get it; endpoints without a limit of their own list it.
pub struct Throttled;

/// The name of the response of API Gateway.
const THROTTLED: &str = "Throttled";

impl IntoResponses for Throttled {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([("429".to_owned(), RefOr::Ref(Ref::from_response_name(THROTTLED)))])
    }
}

/// Returns one response per status. Problems that share a status become its examples. A response is a reference, so that
/// the description contains each once.
fn by_status(kinds: &[ProblemKind]) -> BTreeMap<String, RefOr<Response>> {
    let statuses = group(kinds).into_iter();
    let reference = |kinds: &[ProblemKind]| RefOr::Ref(Ref::from_response_name(name(kinds)));
    statuses.map(|(status, kinds)| (status.to_string(), reference(&kinds))).collect()
}

/// Returns every response that the descriptions of endpoints refer to, by its name.
pub fn components() -> BTreeMap<String, Response> {
    let groups = GROUPS.iter().flat_map(|kinds| group(kinds)).chain(group(&[OF_ALL]));
    let problems = groups.map(|(status, kinds)| (name(&kinds), response(status, &kinds)));
    let throttled = ResponseBuilder::new().description("The API receives too many requests. Try again in a moment.");
    problems.chain([(THROTTLED.to_owned(), throttled.build())]).collect()
}

/// Returns the kinds by their status, in the order of the documentation. The problem that every endpoint has joins those
/// of its status.
fn group(kinds: &[ProblemKind]) -> BTreeMap<u16, Vec<ProblemKind>> {
    let joins = kinds.iter().any(|kind| kind.status() == OF_ALL.status());
    let is_listed = |kind: &ProblemKind| kinds.contains(kind) || (joins && *kind == OF_ALL);
    let mut statuses: BTreeMap<u16, Vec<_>> = BTreeMap::new();
    for kind in ProblemKind::ALL.iter().copied().filter(is_listed) {
        statuses.entry(kind.status().as_u16()).or_default().push(kind);
    }
    statuses
}

/// Returns the name of the response with these kinds, such as `MalformedRequestOrInvalidOtp`.
fn name(kinds: &[ProblemKind]) -> String {
    kinds.iter().map(|kind| format!("{kind:?}")).collect::<Vec<_>>().join("Or")
}

fn response(status: u16, kinds: &[ProblemKind]) -> Response {
    let examples = kinds.iter().copied().flat_map(examples).map(|(name, error)| {
        let problem = error.problem(REQUEST_ID);
        let value = serde_json::to_value(&problem).ok();
        let example = ExampleBuilder::new().summary(problem.title).value(value).build();
        (name.to_owned(), RefOr::T(example))
    });
    let content = ContentBuilder::new()
        .schema(Some(RefOr::Ref(Ref::from_schema_name("Problem"))))
        .examples_from_iter(examples)
        .build();
    let descriptions: Vec<_> = kinds.iter().map(|kind| format!("`{}`: {}", kind.code(), kind.title())).collect();
    let response =
        ResponseBuilder::new().description(descriptions.join(" · ")).content("application/problem+json", content);
    let header = |description: &str, kind| {
        let schema = ObjectBuilder::new().schema_type(kind).build();
        HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
    };
    match status {
        401 => response.header("WWW-Authenticate", header("The scheme: `Bearer`", Type::String)),
        429 | 503 => response.header("Retry-After", header("Seconds until the next try can succeed", Type::Integer)),
        _ => response,
    }
    .build()
}

/// An identifier of a request, as API Gateway makes them.
const REQUEST_ID: &str = "JKJaXmPLvHcESHA=";

/// Returns errors of a kind, each with its name among the examples of the description.
fn examples(kind: ProblemKind) -> Vec<(&'static str, ApiError)> {
    let wait = |bucket, seconds| ApiError::TooManyRequests { bucket, retry_after: Duration::from_secs(seconds) };
    let error = match kind {
        ProblemKind::MalformedRequest => {
            ApiError::MalformedRequest("parsing stopped at line 1, column 17; send one JSON object".to_owned())
        }
        ProblemKind::InvalidOtp => {
            return vec![
                ("invalid-otp", ApiError::InvalidOtp),
                ("invalid-otp-totp", ApiError::WrongTotp),
                ("invalid-otp-recovery-code", ApiError::WrongRecoveryCode),
            ];
        }
        ProblemKind::InvalidCredentials => ApiError::InvalidCredentials,
        ProblemKind::InvalidToken => {
            return vec![
                ("invalid-token", ApiError::InvalidToken(InvalidSignedToken::Expired.into())),
                ("invalid-token-session", ApiError::InvalidToken(TokenProblem::SessionEnded)),
            ];
        }
        ProblemKind::MfaRequired => {
            return vec![
                ("mfa-required", ApiError::MfaRequired(None)),
                ("mfa-required-login", ApiError::MfaRequired(Some(MfaToken::example()))),
            ];
        }
        ProblemKind::IdentityRequired => ApiError::IdentityRequired(MfaToken::example(), &["password"]),
        ProblemKind::AccountParked => ApiError::AccountParked,
        ProblemKind::WrongPassword => ApiError::WrongPassword,
        ProblemKind::ReauthenticationRequired => ApiError::ReauthenticationRequired,
        ProblemKind::SignInMethodOff => ApiError::SignInMethodOff(SignInMethod::Code),
        ProblemKind::SignUpClosed => ApiError::SignUpClosed,
        ProblemKind::PasswordAlreadySet => ApiError::PasswordAlreadySet,
        ProblemKind::PhoneNotVerified => ApiError::PhoneNotVerified,
        ProblemKind::ProofRequired => {
            ApiError::ProofRequired { puzzle: Some((Puzzle::example(), 16)), takes_attestation: true }
        }
        ProblemKind::PastFront => ApiError::PastFront,
        ProblemKind::NotFound => ApiError::NotFound,
        ProblemKind::MethodNotAllowed => ApiError::MethodNotAllowed("GET, HEAD".to_owned()),
        ProblemKind::EnrollmentOver => ApiError::EnrollmentOver,
        ProblemKind::MfaNotEnabled => ApiError::MfaNotEnabled,
        ProblemKind::MfaAlreadyEnabled => ApiError::MfaAlreadyEnabled,
        ProblemKind::PhoneTaken => ApiError::PhoneTaken,
        ProblemKind::BodyTooLarge => ApiError::BodyTooLarge,
        ProblemKind::UnsupportedMediaType => ApiError::UnsupportedMediaType,
        ProblemKind::InvalidRequest => ApiError::invalid_field("/phone", &InvalidPhone::NoSms),
        ProblemKind::TooManyRequests => {
            return vec![
                ("too-many-requests", wait(Bucket::MessagesCooldown, 1)),
                ("too-many-requests-login", wait(Bucket::LoginPhone, 32)),
            ];
        }
        ProblemKind::TemporarilyUnavailable => ApiError::TemporarilyUnavailable("the table is down".into()),
        ProblemKind::Internal => ApiError::Internal("an example".into()),
    };
    vec![(kind.code(), error)]
}
