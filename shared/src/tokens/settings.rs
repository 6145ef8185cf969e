//! The settings of tokens: their lifetimes, issuer and audience.

use std::time::Duration;

use crate::base::variables::Variables;

/// The settings of access and refresh tokens.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// `ACCESS_TOKEN_TTL_SECONDS`: the lifetime of an access token, at most 900 s (RFC 9700 section 2.2 asks for short
    /// lifetimes).
    pub access_ttl: Duration,
    /// `REFRESH_TOKEN_TTL_SECONDS`: the absolute lifetime of a session, at most 30 days (NIST SP 800-63B section
    /// 2.1.3).
    pub session_ttl: Duration,
    /// `REFRESH_GRACE_SECONDS`: the time for which the last spent refresh token still returns its successor.
    pub refresh_grace: Duration,
    /// `JWT_ISSUER`: the issuer. If unset, it is the URL that the request was sent to.
    pub issuer: Option<String>,
    /// `API_URL`: the issuer in place of that URL, for a function that receives no requests.
    pub api_url: Option<String>,
    /// `JWT_AUDIENCE`: the audience of access tokens.
    pub audience: String,
}

impl TokenSettings {
    /// Reads the lifetimes, `JWT_*` and `API_URL`.
    pub fn read(read: &mut Variables<'_>) -> Self {
        Self {
            access_ttl: Duration::from_secs(read.number("ACCESS_TOKEN_TTL_SECONDS", 900, 60..=900)),
            session_ttl: Duration::from_secs(read.number("REFRESH_TOKEN_TTL_SECONDS", 2_592_000, 900..=2_592_000)),
            refresh_grace: Duration::from_secs(read.number("REFRESH_GRACE_SECONDS", 30, 0..=120)),
            issuer: read.with("JWT_ISSUER", issuer),
            api_url: read.optional("API_URL").map(str::to_owned),
            audience: read.optional("JWT_AUDIENCE").unwrap_or("latchkey").to_owned(),
        }
    }
}

/// Refuses an issuer that could be spelled in two ways, because verifiers compare issuers byte by byte. The caller refuses
/// `http` where it is not for development.
fn issuer(value: &str) -> Result<String, &'static str> {
    match value.strip_prefix("https://").or_else(|| value.strip_prefix("http://")) {
        Some(rest) if !rest.is_empty() && !rest.ends_with('/') && !rest.contains(['?', '#', ' ']) => {
            Ok(value.to_owned())
        }
        _ => Err(
            "must be an https URL (with ENVIRONMENT=dev also http) without a slash at the end, a query or a fragment",
        ),
    }
}
