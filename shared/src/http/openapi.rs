//! The problems that endpoints respond with, as their OpenAPI descriptions list them: each with an example, generated
//! from the one list of problems.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::{
    IntoResponses,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        example::ExampleBuilder,
        header::HeaderBuilder,
        schema::{ObjectBuilder, Type},
    },
};

use super::problem::ProblemKind;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident: $($kind:ident),+;)+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                by_status(&[$(ProblemKind::$kind),+])
            }
        }
    )+};
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
    /// Problems of the endpoint that creates accounts with a password.
    SignUpProblems: SignInMethodOff, SignUpClosed;
    /// Problems of the endpoint that sets a first password.
    SetPasswordProblems: MfaRequired, ReauthenticationRequired, SignInMethodOff, PasswordAlreadySet;
    /// Problems of endpoints that complete a sign-in, whose second step may follow.
    SignInProblems: MfaRequired, SignInMethodOff;
    /// Problems of the endpoint by which signed-in callers prove again who they are.
    StepUpProblems: WrongPassword, MfaRequired, SignInMethodOff;
    /// Problems of endpoints that require the current password again, and the second factor of an account that has one.
    ReauthenticationProblems: WrongPassword, MfaRequired, ReauthenticationRequired;
    /// Problems of the endpoint that enrolls an authenticator: it requires the same, and a verified phone.
    EnrollmentProblems: WrongPassword, MfaRequired, ReauthenticationRequired, PhoneNotVerified;
    /// Problems of the endpoint that confirms an enrollment.
    ConfirmationProblems: EnrollmentOver;
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

/// Returns one response per status. Problems that share a status become its examples.
fn by_status(kinds: &[ProblemKind]) -> BTreeMap<String, RefOr<Response>> {
    let mut statuses: BTreeMap<u16, Vec<_>> = BTreeMap::new();
    for kind in ProblemKind::ALL.iter().copied().filter(|kind| kinds.contains(kind)) {
        statuses.entry(kind.status().as_u16()).or_default().push(kind);
    }
    let responses = statuses.into_iter().map(|(status, kinds)| {
        let examples = kinds.iter().map(|kind| {
            let example = ExampleBuilder::new().summary(kind.title()).value(Some(example(*kind))).build();
            (kind.code().to_owned(), RefOr::T(example))
        });
        let content = ContentBuilder::new()
            .schema(Some(RefOr::Ref(Ref::from_schema_name("Problem"))))
            .examples_from_iter(examples)
            .build();
        let descriptions: Vec<_> = kinds.iter().map(|kind| format!("`{}`: {}", kind.code(), kind.title())).collect();
        let mut response =
            ResponseBuilder::new().description(descriptions.join(" · ")).content("application/problem+json", content);
        if let 429 | 503 = status {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
            let retry_after = HeaderBuilder::new()
                .schema(Some(seconds))
                .description(Some("Seconds until the next try can succeed"))
                .build();
            response = response.header("Retry-After", retry_after);
        }
        (status.to_string(), RefOr::T(response.build()))
    });
    responses.collect()
}

fn example(kind: ProblemKind) -> Value {
    let mut example = json!({
        "type": kind.type_uri(),
        "title": kind.title(),
        "status": kind.status().as_u16(),
        "detail": "A sentence that says what happened and what to do next.",
        "code": kind.code(),
        "instance": "c35d786a-f21e-4d4b-8549-38c1d2a15fff",
    });
    let more = match kind {
        ProblemKind::InvalidRequest => {
            json!({"errors": [{"pointer": "/phone", "detail": "must be a number that can receive SMS"}]})
        }
        ProblemKind::TooManyRequests => json!({"bucket": "messages-phone", "retry_after": 3600}),
        ProblemKind::TemporarilyUnavailable => json!({"retry_after": 2}),
        ProblemKind::MfaRequired => json!({"methods": ["totp", "recovery_code"]}),
        _ => json!({}),
    };
    if let (Some(members), Value::Object(more)) = (example.as_object_mut(), more) {
        members.extend(more);
    }
    example
}
