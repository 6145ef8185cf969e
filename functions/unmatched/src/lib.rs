//! The route `$default`: answers what no other route takes. A page's preflight is told what it may send; everything else
//! gets a problem, because API Gateway's own answer has neither a code nor the headers that let a page read it.

mod routes;

use latchkey::{ApiError, Context, Request, Response, http::header};

pub use routes::ROUTES;

/// The methods that a page may send to any path. It may send those that the path does not have, so that it can read the
/// 405 and the 404.
const ALLOWED_METHODS: &str = "DELETE, GET, HEAD, PATCH, POST, PUT";

/// The headers of a request that a page may set besides those that it always may.
const ALLOWED_HEADERS: &str = "attestation, authorization, content-type, proof-of-work";

/// The time that a browser may keep the answer to a preflight, in seconds: two hours, the most that Chromium keeps.
const MAX_AGE: &str = "7200";

/// Returns the answer to a preflight, 405 with the methods of the path, or 404.
pub fn handle(ctx: &Context, request: &Request) -> Result<Response, ApiError> {
    let methods = methods(request.path());
    let asks = request.method() == "OPTIONS" && request.header(header::ACCESS_CONTROL_REQUEST_METHOD).is_some();
    if asks && ctx.page.is_allowed() {
        return Ok(Response::no_content()
            .with_header(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS)
            .with_header(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS)
            .with_header(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE));
    }
    // A route may be missing from a deployment: production does not serve the documentation.
    if methods.is_empty() || methods.contains(&request.method().as_str()) {
        return Err(ApiError::NotFound);
    }
    Err(ApiError::MethodNotAllowed(methods.join(", ")))
}

/// Returns the methods of a path. Every path with GET has HEAD (RFC 9110 section 9.1).
fn methods(path: &str) -> Vec<&'static str> {
    let mut methods = Vec::new();
    for (method, pattern) in ROUTES.iter().filter_map(|route| route.split_once(' ')) {
        if matches(pattern, path) {
            methods.push(method);
            if method == "GET" {
                methods.push("HEAD");
            }
        }
    }
    methods
}

/// Returns whether a path is that of a route, in which `{name}` stands for any part.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if pattern == part => {}
            (Some(pattern), Some(part)) if pattern.starts_with('{') && !part.is_empty() => {}
            _ => return false,
        }
    }
}
