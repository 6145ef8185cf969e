//! Cross-origin requests: which page sent a request, and the headers that let it read the response (the CORS protocol of
//! the Fetch standard). There is no mode with credentials: tokens are sent in a header, and there are no cookies.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::base::origins::Origins;

/// The headers of a response that a page may read besides those that it always may.
pub const EXPOSED_HEADERS: &str = "Retry-After, WWW-Authenticate";

/// The header in which a browser names the page that sends a request.
const PAGE: HeaderName = HeaderName::from_static("origin");

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
        let mut named = headers.get_all(PAGE).iter();
        let origin = named.next().filter(|_| named.next().is_none());
        let is_allowed = |origin: &&HeaderValue| origin.to_str().is_ok_and(|origin| origins.allow(origin));
        Self { allowed: origin.filter(is_allowed).cloned(), varies: !origins.is_empty() }
    }

    /// Returns whether the request is one of a page that may read the response.
    pub fn is_allowed(&self) -> bool {
        self.allowed.is_some()
    }

    /// Adds the headers that let the page read a response.
    pub fn expose(&self, headers: &mut HeaderMap) {
        if self.varies {
            // In one line with what else it depends on, because Lambda sends one value of each header.
            let value = match headers.get(header::VARY) {
                Some(other) => HeaderValue::from_bytes(&[other.as_bytes(), b", origin"].concat()),
                None => Ok(HeaderValue::from_name(PAGE)),
            };
            headers.insert(header::VARY, value.unwrap_or_else(|_| HeaderValue::from_static("*")));
        }
        if let Some(origin) = &self.allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
        }
    }
}
