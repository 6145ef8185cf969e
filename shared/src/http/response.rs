//! Responses to API Gateway.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use lambda_http::Body;
use serde::Serialize;

/// A response. It has no `Debug`, because it carries tokens.
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

impl Response {
    /// Returns a response without a body: 204.
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, None, Body::Empty)
    }

    /// Returns a success without a body: 200, where a standard asks for it.
    pub fn empty() -> Self {
        Self::new(StatusCode::OK, None, Body::Empty)
    }

    /// Returns a response with a JSON body.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self::serialized(status, "application/json", body)
    }

    /// Returns a file with its media type.
    pub fn file(content_type: &'static str, body: Vec<u8>) -> Self {
        match String::from_utf8(body) {
            Ok(text) => Self::new(StatusCode::OK, Some(content_type), Body::Text(text)),
            Err(error) => Self::new(StatusCode::OK, Some(content_type), Body::Binary(error.into_bytes())),
        }
    }

    /// Returns a problem (RFC 9457).
    pub(crate) fn problem(status: StatusCode, problem: &impl Serialize) -> Self {
        Self::serialized(status, "application/problem+json", problem)
    }

    fn serialized(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Self {
        match serde_json::to_string(body) {
            Ok(text) => Self::new(status, Some(content_type), Body::Text(text)),
            // Our responses are structs of strings and numbers, which always serialize.
            Err(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, None, Body::Empty),
        }
    }

    fn new(status: StatusCode, content_type: Option<&'static str>, body: Body) -> Self {
        let mut headers = HeaderMap::new();
        // An endpoint that allows caching replaces this by `with_header`.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        Self { status, headers, body }
    }

    /// Sets a header and replaces any other of its name. A value that HTTP does not allow is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Converts the response into the form that `lambda_http` sends.
    pub fn into_lambda(self) -> http::Response<Body> {
        let mut response = http::Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
