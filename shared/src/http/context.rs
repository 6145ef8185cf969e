//! The circumstances of a request: its time, address, client and language, read once and passed on to every step.

use std::{fmt, net::IpAddr};

use http::{HeaderMap, HeaderName};

use super::cors::Page;
use crate::{base::time::Timestamp, log::audit::Audit, messages::Language};

/// The circumstances of a request.
#[derive(Clone, Debug)]
pub struct Context {
    /// The time of arrival; frozen, so that retries of one operation repeat the same bytes (docs/threats.md#w2).
    pub now: Timestamp,
    /// API Gateway's identifier of the request.
    pub request_id: String,
    /// The address that the request came from: as API Gateway saw it, or as the trusted front tells it. No other header
    /// changes it.
    pub source: SourceAddress,
    /// Whether the request came in past the front, although the front is the only way. It is refused.
    pub is_past_front: bool,
    /// The client's `User-Agent`, for the list of sessions.
    pub user_agent: Option<String>,
    /// The language that the client prefers among those of the messages; none if it names none of them.
    pub language: Option<Language>,
    /// The URL of the API that received the request, without a trailing slash; the issuer of tokens, unless one is
    /// configured. None if the event names no domain.
    pub url: Option<String>,
    /// The proofs that the request shows.
    pub proofs: ShownProofs,
    /// The page of another origin that sent the request, if one did.
    pub page: Page,
    /// The findings for the request's audit event.
    pub audit: Audit,
}

/// The proofs that a request shows before a message is sent, none of them verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownProofs {
    /// The solution of a puzzle: the header `Proof-Of-Work`.
    pub work: Option<String>,
    /// What a function of the team's has signed: the header `Attestation`.
    pub attestation: Option<String>,
}

/// The header of a puzzle's solution.
pub const PROOF_OF_WORK: HeaderName = HeaderName::from_static("proof-of-work");
/// The header of an attestation.
pub const ATTESTATION: HeaderName = HeaderName::from_static("attestation");

impl ShownProofs {
    /// Reads the headers.
    pub fn read(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self { work: text(PROOF_OF_WORK), attestation: text(ATTESTATION) }
    }
}

/// The network address that a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceAddress(Option<IpAddr>);

impl SourceAddress {
    /// Reads an address: API Gateway's `sourceIp`, or what the front tells. All texts that are not addresses become one
    /// unknown address, so that they share its limits instead of having none.
    pub fn parse(text: &str) -> Self {
        Self(text.parse().ok().map(|address: IpAddr| address.to_canonical()))
    }

    /// Returns the network that the address belongs to, as far as devices of one place share it: 24 bits of an IPv4
    /// address, since a carrier may give one browser several, and 64 bits of an IPv6 address.
    pub fn network(&self) -> String {
        match self.0 {
            Some(IpAddr::V4(address)) => {
                let [a, b, c, _] = address.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            None | Some(IpAddr::V6(_)) => self.subject(),
        }
    }

    /// Returns the subject that limits per address count: an IPv4 address, or an IPv6 network of 64 bits, because one
    /// customer has a whole network of that size.
    pub fn subject(&self) -> String {
        match self.0 {
            None => "unknown".to_owned(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        }
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("unknown"),
            Some(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, subject: &str) {
        assert_eq!(SourceAddress::parse(text).subject(), subject, "{text}");
    }

    #[test]
    fn limits_count_ipv4_addresses_and_ipv6_networks() {
        check("203.0.113.9", "203.0.113.9");
        check("::ffff:203.0.113.9", "203.0.113.9");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
        check("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64");
        check("2001:db8:1:3::1", "2001:db8:1:3::/64");
        check("garbage", "unknown");
        check("", "unknown");
    }

    #[test]
    fn networks_have_24_bits_of_ipv4_and_64_of_ipv6() {
        let network = |text| SourceAddress::parse(text).network();
        assert_eq!(network("203.0.113.9"), "203.0.113.0/24");
        assert_eq!(network("::ffff:203.0.113.9"), "203.0.113.0/24");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("garbage"), "unknown");
    }
}
