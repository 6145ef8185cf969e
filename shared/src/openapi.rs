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

use crate::error::PROBLEMS;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident: $($code:literal),+;)+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                by_status(&[$($code),+])
            }
        }
    )+};
}

problems! {
    /// Of every endpoint that reads a body.
    BodyProblems: "malformed-request", "body-too-large", "unsupported-media-type", "invalid-request";
    /// Of every endpoint that reads a body with a one-time code.
    CodeProblems: "malformed-request", "invalid-otp", "body-too-large", "unsupported-media-type", "invalid-request";
    /// Of every endpoint that asks for an access token.
    TokenProblems: "invalid-token";
    /// Of every endpoint that compares phone and password.
    CredentialProblems: "invalid-credentials";
    /// Of every endpoint that asks for the current password again.
    PasswordProblems: "wrong-password";
    /// Of every endpoint that asks for a second factor, where one is on.
    MfaProblems: "mfa-required";
    /// Of every endpoint that asks for the current password again, and for the second factor where one is on.
    ReauthenticationProblems: "wrong-password", "mfa-required";
    /// Of the endpoint that does the same, and wants a phone that is verified.
    EnrolmentProblems: "wrong-password", "mfa-required", "phone-not-verified";
    /// Of every endpoint that takes a phone for an account.
    PhoneProblems: "phone-taken";
    /// Of every endpoint that names one thing among several.
    NotFoundProblems: "not-found";
    /// Of every endpoint that counts requests.
    LimitProblems: "too-many-requests";
    /// When something of ours or of AWS's fails.
    ServerProblems: "internal", "temporarily-unavailable";
}

/// One response per status: two problems of one status are two examples of it.
fn by_status(codes: &[&str]) -> BTreeMap<String, RefOr<Response>> {
    let mut statuses: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for problem in PROBLEMS.iter().filter(|(code, ..)| codes.contains(code)) {
        statuses.entry(problem.1.as_str().to_owned()).or_default().push(problem);
    }
    let responses = statuses.into_iter().map(|(status, problems)| {
        let examples = problems.iter().map(|(code, _, title)| {
            let example = ExampleBuilder::new().summary(*title).value(Some(example(code, &status, title))).build();
            ((*code).to_owned(), RefOr::T(example))
        });
        let content = ContentBuilder::new()
            .schema(Some(RefOr::Ref(Ref::from_schema_name("Problem"))))
            .examples_from_iter(examples)
            .build();
        let descriptions: Vec<_> = problems.iter().map(|(code, _, title)| format!("`{code}`: {title}")).collect();
        let mut response =
            ResponseBuilder::new().description(descriptions.join(" · ")).content("application/problem+json", content);
        if status == "429" || status == "503" {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
            let retry_after = HeaderBuilder::new()
                .schema(Some(seconds))
                .description(Some("In how many seconds the next try can succeed"))
                .build();
            response = response.header("Retry-After", retry_after);
        }
        (status, RefOr::T(response.build()))
    });
    responses.collect()
}

fn example(code: &str, status: &str, title: &str) -> Value {
    let mut example = json!({
        "type": format!("urn:latchkey:problem:{code}"),
        "title": title,
        "status": status.parse::<u16>().unwrap_or_default(),
        "detail": "A sentence that says what happened and what to do next.",
        "code": code,
        "instance": "c35d786a-f21e-4d4b-8549-38c1d2a15fff",
    });
    let more = match code {
        "invalid-request" => {
            Some(("errors", json!([{"pointer": "/phone", "detail": "must be a number that can receive SMS"}])))
        }
        "too-many-requests" => Some(("bucket", json!("sms-phone"))),
        "mfa-required" => Some(("methods", json!(["totp", "recovery_code"]))),
        _ => None,
    };
    if let (Some(members), Some((name, value))) = (example.as_object_mut(), more) {
        members.insert(name.to_owned(), value);
    }
    example
}
