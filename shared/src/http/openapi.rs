//! What the endpoints' descriptions share: the problems that they answer, each with its example, from the one list of
//! problems.

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
    /// Of every endpoint that reads a body.
    BodyProblems: MalformedRequest, BodyTooLarge, UnsupportedMediaType, InvalidRequest;
    /// Of every endpoint that reads a body with a one-time code.
    CodeProblems: MalformedRequest, InvalidOtp, BodyTooLarge, UnsupportedMediaType, InvalidRequest;
    /// Of every endpoint that asks for an access token.
    TokenProblems: InvalidToken;
    /// Of every endpoint that compares phone and password.
    CredentialProblems: InvalidCredentials;
    /// Of every endpoint that asks for the current password again.
    PasswordProblems: WrongPassword;
    /// Of every endpoint that asks for a second factor, where one is on.
    MfaProblems: MfaRequired;
    /// Of every endpoint that asks for the current password again, and for the second factor where one is on.
    ReauthenticationProblems: WrongPassword, MfaRequired;
    /// Of the endpoint that does the same, and wants a phone that is verified.
    EnrolmentProblems: WrongPassword, MfaRequired, PhoneNotVerified;
    /// Of every endpoint that takes a phone for an account.
    PhoneProblems: PhoneTaken;
    /// Of every endpoint that names one thing among several.
    NotFoundProblems: NotFound;
    /// Of every endpoint that counts requests.
    LimitProblems: TooManyRequests;
    /// When something of ours or of AWS's fails.
    ServerProblems: Internal, TemporarilyUnavailable;
}

/// Returns one response per status: two problems of one status are two examples of it.
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
            Some(("errors", json!([{"pointer": "/phone", "detail": "must be a number that can receive SMS"}])))
        }
        ProblemKind::TooManyRequests => Some(("bucket", json!("messages-phone"))),
        ProblemKind::MfaRequired => Some(("methods", json!(["totp", "recovery_code"]))),
        _ => None,
    };
    if let (Some(members), Some((name, value))) = (example.as_object_mut(), more) {
        members.insert(name.to_owned(), value);
    }
    example
}
