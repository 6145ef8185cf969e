//! What the endpoints' descriptions share: the problems that several of them answer.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        header::HeaderBuilder,
        schema::{ObjectBuilder, Type},
    },
};

use crate::error::PROBLEMS;

/// Answers of every endpoint that reads a body and the store.
pub struct BodyProblems;

/// Answers of every endpoint that asks for an access token.
pub struct TokenProblems;

/// Answers of every endpoint that counts requests.
pub struct LimitProblems;

/// Answers when something of ours or of AWS's fails.
pub struct ServerProblems;

macro_rules! problems {
    ($($name:ident: $($code:literal),+;)+) => {$(
        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                by_status(&[$($code),+])
            }
        }
    )+};
}

problems! {
    BodyProblems: "malformed-request", "body-too-large", "unsupported-media-type", "invalid-request";
    TokenProblems: "invalid-token";
    LimitProblems: "too-many-requests";
    ServerProblems: "internal", "temporarily-unavailable";
}

fn by_status(codes: &[&str]) -> BTreeMap<String, RefOr<Response>> {
    let known = PROBLEMS.iter().filter(|(code, ..)| codes.contains(code));
    known.map(|(code, status, title)| (status.as_str().to_owned(), RefOr::T(problem(code, title)))).collect()
}

fn problem(code: &str, title: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name("Problem")))).build();
    let response =
        ResponseBuilder::new().description(format!("`{code}`: {title}")).content("application/problem+json", content);
    if code == "too-many-requests" || code == "temporarily-unavailable" {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
        let retry_after = HeaderBuilder::new()
            .schema(Some(seconds))
            .description(Some("In how many seconds the next try can succeed"))
            .build();
        return response.header("Retry-After", retry_after).build();
    }
    response.build()
}
