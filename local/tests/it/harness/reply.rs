//! What came back.

use http::{HeaderMap, header};
use serde_json::Value;

/// What came back. Has no `Debug`: answers carry tokens, and a failing test must not print one.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The body, where it is JSON.
    pub(crate) body: Value,
    pub(crate) bytes: Vec<u8>,
    /// The function that answered, where it was not the gateway itself.
    pub(crate) function: Option<String>,
}

impl Reply {
    /// Checks the status; a failure names the problem's code and nothing else.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "problem: {}", self.code());
        self
    }

    /// Checks status and problem code, and that it is a problem as RFC 9457 wants it.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code));
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.body["type"], format!("urn:latchkey:problem:{code}"));
        assert_eq!(self.body["status"], status);
        for member in ["title", "detail", "instance"] {
            assert!(self.body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}");
        }
        self
    }

    /// Checks that it is 429 for this limit, and says in how many seconds to come back.
    #[track_caller]
    pub(crate) fn expect_limit(self, bucket: &str) -> u64 {
        let reply = self.expect_problem(429, "too-many-requests");
        assert_eq!(reply.body["bucket"], bucket);
        reply.header("retry-after").expect("429 carries Retry-After").parse().unwrap()
    }

    /// Checks that it is 422 for these fields.
    #[track_caller]
    pub(crate) fn expect_fields(self, pointers: &[&str]) -> Self {
        let reply = self.expect_problem(422, "invalid-request");
        let errors = reply.body["errors"].as_array().unwrap();
        let named: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(named, pointers);
        assert!(errors.iter().all(|error| !error["detail"].as_str().unwrap().is_empty()));
        reply
    }

    /// The problem's code; empty when it is no problem.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// A member of the body that is a text.
    #[track_caller]
    pub(crate) fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_else(|| panic!("the answer has no text `{member}`"))
    }

    /// Everything that a client can tell two answers apart by: all but the request's identifier. Of a challenge, which
    /// is sealed under a random number, that is the length.
    pub(crate) fn fingerprint(&self) -> (u16, Vec<(String, String)>, Value) {
        let mut body = self.body.clone();
        if let Some(body) = body.as_object_mut() {
            body.remove("instance");
            body.entry("challenge").and_modify(|sealed| *sealed = sealed.as_str().map(str::len).into());
        }
        let headers = self.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH);
        let mut headers: Vec<_> = headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
        headers.sort();
        (self.status, headers, body)
    }
}
