//! The front of a deployment: a CDN or a proxy of the operator's, which tells the address of each client
//! (docs/adr/0049-a-front-that-is-trusted.md).

use std::str::FromStr;

use http::{HeaderMap, HeaderName};
use ring::digest::{SHA256, digest};

use super::{origins::Origins, variables::Variables};

/// The header in which the front sends its secret. CDNs can add one of this name to every request.
const SECRET: HeaderName = HeaderName::from_static("x-origin-verify");

/// The header of the client's address, as `front.yaml` sets it.
const VIEWER_ADDRESS: &str = "x-viewer-address";

/// The header that `CloudFront` has for it, in which a port follows the address, without brackets around an IPv6 address.
const CLOUDFRONT_VIEWER_ADDRESS: HeaderName = HeaderName::from_static("cloudfront-viewer-address");

/// What stands between clients and a function: the pages that may call it, and the front that is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    /// `ALLOWED_ORIGINS`: the pages that may call the API from another origin.
    pub origins: Origins,
    /// `TRUSTED_FRONT_*`: the front, if there is one.
    pub front: Front,
}

impl Edge {
    /// Reads `ALLOWED_ORIGINS` and `TRUSTED_FRONT_*`.
    pub fn read(read: &mut Variables<'_>) -> Self {
        Self { origins: Origins::read(read), front: Front::read(read) }
    }
}

/// The front that is believed: `TRUSTED_FRONT_*`. By default none is, and no header changes an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    secrets: Vec<SecretHash>,
    address_header: HeaderName,
    is_only_way: bool,
}

impl Default for Front {
    fn default() -> Self {
        Self { secrets: Vec::new(), address_header: HeaderName::from_static(VIEWER_ADDRESS), is_only_way: false }
    }
}

/// A request came in past the front, although the front is the only way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastFront;

impl Front {
    /// Reads `TRUSTED_FRONT_SHA256`, `TRUSTED_FRONT_ADDRESS_HEADER` and `TRUSTED_FRONT_ONLY`.
    fn read(read: &mut Variables<'_>) -> Self {
        let secrets: Vec<_> = read.list("TRUSTED_FRONT_SHA256").unwrap_or_default();
        let address_header = read.with("TRUSTED_FRONT_ADDRESS_HEADER", address_header);
        let is_only_way = read.flag("TRUSTED_FRONT_ONLY").unwrap_or(false);
        if is_only_way && read.optional("TRUSTED_FRONT_SHA256").is_none() {
            read.wrong(
                "TRUSTED_FRONT_ONLY",
                "must be false without TRUSTED_FRONT_SHA256, or every request would be refused",
            );
        }
        if !secrets.is_empty() && read.optional("JWT_ISSUER").is_none() {
            read.warn(
                "TRUSTED_FRONT_SHA256",
                "without JWT_ISSUER, tokens and discovery name the address behind the front",
            );
        }
        let address_header = address_header.unwrap_or_else(|| Self::default().address_header);
        Self { secrets, address_header, is_only_way }
    }

    /// Returns the address that the front tells of a request's client, as text; none if the request did not come
    /// through the front, or if the front names no client, because the request is its own. Fails if the request may
    /// not come past the front.
    pub fn client_address<'a>(&self, headers: &'a HeaderMap) -> Result<Option<&'a str>, PastFront> {
        if self.secrets.is_empty() {
            return Ok(None);
        }
        let mut sent = headers.get_all(SECRET).iter();
        let sent = sent.next().filter(|_| sent.next().is_none());
        if !sent.is_some_and(|secret| self.secrets.contains(&SecretHash::of(secret.as_bytes()))) {
            return if self.is_only_way { Err(PastFront) } else { Ok(None) };
        }
        let mut told = headers.get_all(&self.address_header).iter();
        Ok(match (told.next(), told.next()) {
            (None, _) => None,
            // An address that cannot be read is no address: all such clients share one limit.
            (Some(told), None) => Some(self.bare(told.to_str().unwrap_or_default())),
            (Some(_), Some(_)) => Some(""),
        })
    }

    /// Returns the address without the port that may follow it: `192.0.2.1:443`, `[2001:db8::1]:443`.
    fn bare<'a>(&self, told: &'a str) -> &'a str {
        let told = told.trim();
        if let Some(bracketed) = told.strip_prefix('[') {
            return bracketed.split_once(']').map_or("", |(address, _)| address);
        }
        let has_port = self.address_header == CLOUDFRONT_VIEWER_ADDRESS || told.matches(':').count() == 1;
        if has_port { told.rsplit_once(':').map_or(told, |(address, _)| address) } else { told }
    }
}

/// Reads `TRUSTED_FRONT_ADDRESS_HEADER`.
fn address_header(name: &str) -> Result<HeaderName, &'static str> {
    let name: HeaderName =
        name.parse().map_err(|_| "must be the name of a header, such as CloudFront-Viewer-Address")?;
    match name.as_str() {
        "x-forwarded-for" | "forwarded" => {
            Err("must be a header that the front alone sets, and API Gateway adds the front's own address to this one")
        }
        "x-origin-verify" => Err("must be another header than that of the front's secret"),
        _ => Ok(name),
    }
}

/// The SHA-256 of a secret. A secret of 128 random bits or more cannot be found from it, so it may stand in a function's
/// environment, and comparing it tells nothing by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SecretHash([u8; 32]);

impl SecretHash {
    fn of(secret: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, secret).as_ref());
        Self(hash)
    }
}

impl FromStr for SecretHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str =
            "must be the SHA-256 of the front's secret in 64 hexadecimal digits; of two during a change";
        let mut hash = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| WRONG)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| WRONG)?;
        }
        let hash = Self(hash);
        if [&b""[..], b"\n"].into_iter().any(|nothing| Self::of(nothing) == hash) {
            return Err(
                "must be the SHA-256 of a secret, and is that of nothing: what should have held the secret was empty",
            );
        }
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// `printf %s a-secret-of-the-front | sha256sum`
    const HASH: &str = "15e1f4e5bea461dbfa73b9a3ad7f09f2f3e13e8047b400c349ae45102f1bf16f";

    fn front(variables: &[(&str, &str)]) -> Result<Front, String> {
        let variables: HashMap<_, _> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut read = Variables::new(&variables);
        let front = Front::read(&mut read);
        read.finish(Some(front)).map_err(|errors| errors.to_string())
    }

    #[test]
    fn an_address_is_read_with_and_without_a_port() {
        let (usual, cloudfront) =
            (Front::default(), Front { address_header: CLOUDFRONT_VIEWER_ADDRESS, ..Front::default() });
        for (told, bare) in [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1:4653 ", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1", ""),
        ] {
            assert_eq!(usual.bare(told), bare, "{told}");
        }
        // CloudFront writes no brackets. The port might be read as a part of a shortened address.
        assert_eq!(cloudfront.bare("2001:db8::1:4653"), "2001:db8::1");
        assert_eq!(cloudfront.bare("192.0.2.1:4653"), "192.0.2.1");
    }

    #[test]
    fn what_can_only_be_a_mistake_is_refused() {
        for (variable, value, why) in [
            ("TRUSTED_FRONT_SHA256", "my-secret", "must be the SHA-256"),
            ("TRUSTED_FRONT_SHA256", &"ä".repeat(32), "must be the SHA-256"),
            ("TRUSTED_FRONT_SHA256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "of nothing"),
            ("TRUSTED_FRONT_SHA256", "01BA4719C80B6FE911B091A7C05124B64EEECE964E09C058EF8F9805DACA546B", "of nothing"),
            ("TRUSTED_FRONT_ONLY", "true", "must be false without TRUSTED_FRONT_SHA256"),
            ("TRUSTED_FRONT_ADDRESS_HEADER", "a b", "must be the name of a header"),
            ("TRUSTED_FRONT_ADDRESS_HEADER", "X-Forwarded-For", "adds the front's own address"),
            ("TRUSTED_FRONT_ADDRESS_HEADER", "Forwarded", "adds the front's own address"),
            ("TRUSTED_FRONT_ADDRESS_HEADER", "x-origin-verify", "the front's secret"),
        ] {
            let error = front(&[(variable, value)]).unwrap_err();
            assert!(error.contains(variable) && error.contains(why), "{variable}: {error}");
        }
        assert_eq!(front(&[]), Ok(Front::default()));
        assert!(front(&[("TRUSTED_FRONT_SHA256", HASH), ("TRUSTED_FRONT_ONLY", "true")]).is_ok());
    }
}
