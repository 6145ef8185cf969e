//! Audit events: who requested what, by which proof, and with which result. Each request about an account writes one
//! line of JSON (docs/threats.md#e7, OWASP ASVS 16.3.1); `docs/audit.md` is its schema.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use serde::Serialize;

use crate::{
    base::{
        id::{SessionId, UserId},
        kid::{Kid, Versioned},
        time::Timestamp,
    },
    domain::{phone::Phone, proof::Factor},
};

/// The version of the schema. It grows when a member changes its meaning, not when one is added.
const VERSION: u32 = 1;

/// The result of a request that succeeded.
const SUCCESS: &str = "success";

/// The findings about a request while it is handled, for its audit event.
#[derive(Clone, Debug, Default)]
pub struct Audit(Arc<Mutex<Findings>>);

#[derive(Clone, Debug, Default)]
struct Findings {
    factors: Vec<Factor>,
    user: Option<UserId>,
    session: Option<SessionId>,
    former_user: Option<UserId>,
    phone: Option<Phone>,
    reason: Option<&'static str>,
}

impl Audit {
    /// Records a proof that is about to be compared.
    pub fn factor(&self, factor: Factor) {
        self.findings().factors.push(factor);
    }

    /// Records the account concerned. It is not necessarily the caller's, so it never replaces that of a session.
    pub fn user(&self, user: UserId) {
        let mut findings = self.findings();
        if findings.session.is_none() {
            findings.user = Some(user);
        }
    }

    /// Records the session that makes the request or was started, and its account.
    pub fn session(&self, user: UserId, session: SessionId) {
        let mut findings = self.findings();
        (findings.user, findings.session) = (Some(user), Some(session));
    }

    /// Records the account that was parked when the phone got another one.
    pub fn former(&self, user: UserId) {
        self.findings().former_user = Some(user);
    }

    /// Records a reason that the response must not reveal.
    pub fn reason(&self, reason: &'static str) {
        self.findings().reason = Some(reason);
    }

    /// Records the phone that the request names.
    pub fn phone(&self, phone: &Phone) {
        self.findings().phone = Some(phone.clone());
    }

    fn findings(&self) -> MutexGuard<'_, Findings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the line of a request whose outcome is known. Without the key, the line has no hash of the phone.
    pub fn line<'a>(
        &self,
        of: Circumstances<'a>,
        outcome: Outcome<'a>,
        key: Option<&Versioned<hmac::Key>>,
    ) -> Line<'a> {
        let findings = self.findings().clone();
        let hashed = findings.phone.zip(key);
        Line {
            audit: VERSION,
            time: of.now.to_rfc3339(),
            event: of.event,
            result: outcome.result,
            reason: outcome.reason.or(findings.reason),
            factors: findings.factors,
            user: findings.user,
            session: findings.session,
            former_user: findings.former_user,
            phone: hashed.as_ref().map(|(phone, key)| pseudonym(key, phone)),
            key: hashed.map(|(_, key)| key.kid),
            address: of.address,
            operator: of.operator,
            request_id: of.request_id,
        }
    }
}

/// The circumstances of an event.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    /// The name of what was requested.
    pub event: &'a str,
    /// The time of the request.
    pub now: Timestamp,
    /// The network address that the request came from.
    pub address: Option<String>,
    /// The operator who ran the command; none for a request.
    pub operator: Option<&'a str>,
    /// The identifier of the request.
    pub request_id: &'a str,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    result: &'a str,
    reason: Option<&'a str>,
}

impl Outcome<'_> {
    /// The outcome of a request that succeeded.
    pub const SUCCESS: Self = Self { result: SUCCESS, reason: None };
}

impl<'a> Outcome<'a> {
    /// Returns the outcome of a request that did not succeed: the code of its problem, and a reason if the code needs
    /// one.
    pub const fn refused(result: &'a str, reason: Option<&'a str>) -> Self {
        Self { result, reason }
    }
}

/// One line of the audit log. `docs/audit.md` describes each member.
#[derive(Clone, Debug, Serialize)]
pub struct Line<'a> {
    audit: u32,
    time: String,
    event: &'a str,
    result: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    factors: Vec<Factor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    former_user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Kid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<&'a str>,
    request_id: &'a str,
}

/// Returns a name for a phone: always the same, and irreversible without the key. A plain hash would be no secret,
/// because there are few enough numbers to try all. 128 bits in base64url.
pub fn pseudonym(key: &Versioned<hmac::Key>, phone: &Phone) -> String {
    pseudonym_of(key, phone.as_e164())
}

/// Returns such a name for an address or another text. Two kinds of text that may be equal need different prefixes.
pub fn pseudonym_of(key: &Versioned<hmac::Key>, text: &str) -> String {
    let tag = hmac::sign(&key.key, text.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref().first_chunk::<16>().unwrap_or(&[0; 16]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::phone::PhoneRules;

    fn key(version: u8) -> Versioned<hmac::Key> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[version; 32]);
        Versioned { kid: Kid::from_byte(version).unwrap(), key }
    }

    #[test]
    fn an_event_tells_what_was_found_and_nothing_else() {
        let audit = Audit::default();
        let of = |request_id| Circumstances {
            event: "login",
            now: Timestamp::from_unix_seconds(1_795_378_606),
            address: Some("203.0.113.7".to_owned()),
            operator: None,
            request_id,
        };
        let refused = Outcome::refused("too-many-requests", Some("login-phone"));
        let nothing = serde_json::to_value(audit.line(of("r-1"), refused, None)).unwrap();
        let expected = json!({
            "audit": 1, "time": "2026-11-22T20:16:46Z", "event": "login", "result": "too-many-requests",
            "reason": "login-phone", "factors": [], "address": "203.0.113.7", "request_id": "r-1",
        });
        assert_eq!(nothing, expected);

        audit.factor(Factor::Password);
        audit.factor(Factor::RecoveryCode);
        audit.phone(&PhoneRules::new("EG".parse().unwrap(), None).parse("01012345678").unwrap());
        let line = serde_json::to_value(audit.line(of("r-2"), Outcome::SUCCESS, Some(&key(1)))).unwrap();
        assert_eq!(line["factors"], json!(["password", "recovery-code"]));
        assert_eq!((&line["result"], line["phone"].as_str().unwrap().len()), (&json!("success"), 22));
        assert!(!line.to_string().contains("1012345678"));
        let again = serde_json::to_value(audit.line(of("r-3"), Outcome::SUCCESS, Some(&key(1)))).unwrap();
        let elsewhere = serde_json::to_value(audit.line(of("r-4"), Outcome::SUCCESS, Some(&key(2)))).unwrap();
        assert!(line["phone"] == again["phone"] && line["phone"] != elsewhere["phone"]);
        assert_eq!((&line["key"], &elsewhere["key"]), (&json!(1), &json!(2)));
    }
}
