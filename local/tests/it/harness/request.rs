//! A request, before it is sent.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::Value;

/// Where requests come from unless a test says otherwise.
pub(super) const HOME: &str = "203.0.113.7";

/// A request to be sent.
#[derive(Clone)]
pub(crate) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) source: IpAddr,
}

impl Request {
    /// Without a body, from the address that everybody calls from unless a test says otherwise.
    pub(crate) fn new(method: Method, path: &str) -> Self {
        let source = HOME.parse().unwrap();
        Self { method, path: path.to_owned(), headers: HeaderMap::new(), body: Vec::new(), source }
    }

    /// With a JSON body.
    #[expect(clippy::needless_pass_by_value, reason = "`json!(…)` reads best in place")]
    pub(crate) fn post(path: &str, body: Value) -> Self {
        Self::new(Method::POST, path).body("application/json", body.to_string().as_bytes())
    }

    pub(crate) fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    pub(crate) fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        self.body = body.to_vec();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// One more header of this name.
    pub(crate) fn another_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    /// A header whose name is not known before the test runs.
    pub(crate) fn any_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// A body without a `Content-Type` of its own.
    pub(crate) fn raw_body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// With these members in its body as well, if that is a JSON object.
    pub(super) fn with_members(mut self, members: &Value) -> Self {
        if let Ok(Value::Object(mut body)) = serde_json::from_slice(&self.body) {
            for (name, value) in members.as_object().unwrap() {
                body.entry(name).or_insert_with(|| value.clone());
            }
            self.body = Value::from(body).to_string().into_bytes();
        }
        self
    }

    /// With this access token.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// From this address.
    pub(crate) fn from(mut self, source: &str) -> Self {
        self.source = source.parse().unwrap();
        self
    }
}
