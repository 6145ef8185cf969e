//! Cross-origin requests: which page sent a request, and the headers that let it read the response (the CORS protocol of
//! the Fetch standard). There is no mode with credentials: tokens are sent in a header, and there are no cookies.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::{Request, Response};
use crate::base::origins::Origins;

/// The headers of a response that a page may read besides those that it always may.
pub const EXPOSED_HEADERS: &str = "Retry-After, WWW-Authenticate";

/// The headers of a request that a page may set besides those that it always may.
pub const ALLOWED_HEADERS: &str = "authorization, content-type";

/// The time that a browser may keep the answer to a preflight, in seconds: two hours, the most that Chromium keeps.
pub const MAX_AGE: &str = "7200";

/// The page that sent a request, as far as it may read the response.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The page's origin, if the page may read the response.
    allowed: Option<HeaderValue>,
    /// Whether the response depends on the page, so that a cache must keep one for each.
    varies: bool,
}

impl Page {
    /// Judges the page that a request names in `Origin`.
    pub fn judge(headers: &HeaderMap, origins: &Origins) -> Self {
        let mut named = headers.get_all(header::ORIGIN).iter();
        let origin = named.next().filter(|_| named.next().is_none());
        let is_allowed = |origin: &&HeaderValue| origin.to_str().is_ok_and(|origin| origins.allow(origin));
        Self { allowed: origin.filter(is_allowed).cloned(), varies: !origins.is_empty() }
    }

    /// Adds the headers that let the page read a response.
    pub fn expose(&self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(header::VARY, HeaderValue::from_name(header::ORIGIN));
        }
        if let Some(origin) = &self.allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
        }
    }

    /// Returns the answer to a preflight: what a page may send to a path with these methods. Returns `None` if the
    /// request is no preflight, or one of a page that may send nothing.
    pub fn preflight(&self, request: &Request, methods: &str) -> Option<Response> {
        self.allowed.as_ref()?;
        request.header(header::ACCESS_CONTROL_REQUEST_METHOD).filter(|_| request.method() == Method::OPTIONS)?;
        let with = |response: Response, (name, value): (HeaderName, &str)| response.with_header(name, value);
        let headers = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ];
        Some(headers.into_iter().fold(Response::no_content(), with))
    }
}
