//! Audit events: who asked for what, by which proof, and what came of it. One line of JSON for each request about an account
//! (docs/threats.md#e7, OWASP ASVS 16.3.1); `docs/audit.md` is its schema.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use serde::Serialize;

use crate::{
    base::{
        id::{SessionId, UserId},
        time::Timestamp,
    },
    domain::{phone::Phone, proof::Factor},
};

/// The version of the schema. Members may be added to it; when one changes its meaning, it is raised.
const VERSION: u32 = 1;

/// The result of what was done.
const SUCCESS: &str = "success";

/// What is found out about a request while it is handled, for its event.
#[derive(Clone, Debug, Default)]
pub struct Audit(Arc<Mutex<Findings>>);

#[derive(Clone, Debug, Default)]
struct Findings {
    factors: Vec<Factor>,
    user: Option<UserId>,
    session: Option<SessionId>,
    phone: Option<Phone>,
    reason: Option<&'static str>,
}

impl Audit {
    /// Something is about to be compared.
    pub fn factor(&self, factor: Factor) {
        self.findings().factors.push(factor);
    }

    /// The account that it is about; not necessarily that of whoever asks, unless a session does.
    pub fn user(&self, user: UserId) {
        let mut findings = self.findings();
        if findings.session.is_none() {
            findings.user = Some(user);
        }
    }

    /// The session that asks, or that was started; and whose it is.
    pub fn session(&self, user: UserId, session: SessionId) {
        let mut findings = self.findings();
        (findings.user, findings.session) = (Some(user), Some(session));
    }

    /// Why it is refused, when the answer must not say it.
    pub fn reason(&self, reason: &'static str) {
        self.findings().reason = Some(reason);
    }

    /// The phone that the request names.
    pub fn phone(&self, phone: &Phone) {
        self.findings().phone = Some(phone.clone());
    }

    fn findings(&self) -> MutexGuard<'_, Findings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line, once it is known what came of the request. Without the key there is no hash of the phone in it.
    pub fn line<'a>(&self, of: Circumstances<'a>, outcome: Outcome<'a>, key: Option<&hmac::Key>) -> Line<'a> {
        let findings = self.findings().clone();
        Line {
            audit: VERSION,
            time: of.now.to_rfc3339(),
            event: of.event,
            result: outcome.result,
            reason: outcome.reason.or(findings.reason),
            factors: findings.factors,
            user: findings.user,
            session: findings.session,
            phone: findings.phone.zip(key).map(|(phone, key)| pseudonym(key, &phone)),
            address: of.address,
            operator: of.operator,
            request_id: of.request_id,
        }
    }
}

/// Where an event comes from.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    /// What was asked for.
    pub event: &'a str,
    /// When.
    pub now: Timestamp,
    /// From which network address.
    pub address: Option<String>,
    /// Which operator did it, if one did.
    pub operator: Option<&'a str>,
    /// In which request.
    pub request_id: &'a str,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    result: &'a str,
    reason: Option<&'a str>,
}

impl Outcome<'_> {
    /// It was done.
    pub const SUCCESS: Self = Self { result: SUCCESS, reason: None };
}

impl<'a> Outcome<'a> {
    /// It was not, for what has this name; and more exactly for this reason, where there is more to say.
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
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<&'a str>,
    request_id: &'a str,
}

/// A name for a phone that is always the same and that nobody can turn back without the key: there are few enough numbers
/// that a plain hash of one is no secret. 128 bits in base64url.
pub fn pseudonym(key: &hmac::Key, phone: &Phone) -> String {
    let tag = hmac::sign(key, phone.as_e164().as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref().first_chunk::<16>().unwrap_or(&[0; 16]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::phone::PhoneRules;

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
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
    }
}
