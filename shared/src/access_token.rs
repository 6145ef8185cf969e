//! Access tokens: JWTs by RFC 9068, signed by one key, judged by that key's algorithm and never by what the token says.

use std::{fmt, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    id::{SessionId, TokenId, UserId},
    jws,
    keys::{SigningKey, VerifyingKey},
    random::RandomError,
    time::Timestamp,
};

/// RFC 9068 section 2.1: what keeps another kind of JWT from being taken for an access token.
const TYPE: &str = "at+jwt";

/// Longer than any token of ours; longer ones are refused unread (SECURITY J7).
const MAX_LENGTH: usize = 4096;

/// How far another machine's clock may be ahead of ours (SECURITY J5).
const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// `client_id` (RFC 9068 section 2.2 requires it): there is one client, the operator's own application.
const CLIENT_ID: &str = "latchkey";

/// The claims of an access token. No phone number and nothing else that is personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Whom it is for. One audience, as a string.
    pub aud: String,
    /// Whose it is.
    pub sub: UserId,
    /// Which client it was issued to.
    pub client_id: String,
    /// The session that it belongs to and dies with.
    pub sid: SessionId,
    /// When it was issued, in Unix seconds.
    pub iat: u64,
    /// When it ends, in Unix seconds.
    pub exp: u64,
    /// From when on it counts, in Unix seconds. We set none, but hold to one that is there.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    pub nbf: Option<u64>,
    /// Its own identifier.
    pub jti: TokenId,
    /// When the user last proved who they are, in Unix seconds.
    pub auth_time: u64,
    /// How they proved it (RFC 8176).
    pub amr: Vec<String>,
    /// The account's session epoch when it was issued.
    pub ver: u64,
}

/// A claim that need not be there, but is a number when it is.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    u64::deserialize(deserializer).map(Some)
}

/// What a login or a refresh puts into a token.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `aud`.
    pub audience: &'a str,
    /// `sub`.
    pub user: UserId,
    /// `sid`.
    pub session: SessionId,
    /// `ver`.
    pub epoch: u64,
    /// `auth_time`.
    pub authenticated_at: Timestamp,
    /// How long the token lives.
    pub lifetime: Duration,
}

/// A signed access token, ready to be handed out. Its text is a secret of its bearer.
pub struct AccessToken(String);

impl AccessToken {
    /// Signs a token.
    pub fn issue(key: &SigningKey, grant: Grant<'_>, now: Timestamp) -> Result<Self, IssueError> {
        jws::use_ring();
        let claims = Claims {
            iss: grant.issuer.to_owned(),
            aud: grant.audience.to_owned(),
            sub: grant.user,
            client_id: CLIENT_ID.to_owned(),
            sid: grant.session,
            iat: now.unix_seconds(),
            exp: now.plus(grant.lifetime).unix_seconds(),
            nbf: None,
            jti: TokenId::generate()?,
            auth_time: grant.authenticated_at.unix_seconds(),
            amr: vec!["pwd".to_owned()],
            ver: grant.epoch,
        };
        let mut header = Header::new(key.verifying().algorithm().into());
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.verifying().kid().to_owned());
        Ok(Self(jsonwebtoken::encode(&header, &claims, key.encoding())?))
    }

    /// The token's text, to be handed to its bearer and nowhere else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken")
    }
}

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// No randomness for the token's identifier.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The key did not sign.
    #[error("the access token could not be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Why a token is not taken. For the log; the client learns only that it is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccessToken {
    /// Not a compact JWS of reasonable length with a JSON header of ours.
    #[error("not a token of ours by its shape")]
    Malformed,
    /// `alg` is not that of the key, `typ` is not `at+jwt`, or `kid` names no key.
    #[error("the header names another type, algorithm or key")]
    WrongHeader,
    /// The signature is not the key's, or a claim is missing or of the wrong type.
    #[error("the signature or the claims do not hold")]
    WrongSignatureOrClaims,
    /// Another issuer's or another audience's token.
    #[error("issued by or for somebody else")]
    WrongIssuerOrAudience,
    /// Past its end, or issued in the future.
    #[error("expired or not yet valid")]
    Expired,
}

/// The only header that we write: three members. A token with any other (`jku`, `jwk`, `x5u`, `crit`, …) is not ours.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    typ: String,
    alg: jsonwebtoken::Algorithm,
    kid: String,
}

/// A token whose header was read and nothing of which is believed yet.
pub struct Unverified<'a> {
    token: &'a str,
    header: StrictHeader,
}

impl<'a> Unverified<'a> {
    /// Reads the header.
    pub fn read(token: &'a str) -> Result<Self, InvalidAccessToken> {
        if token.len() > MAX_LENGTH || token.split('.').count() != 3 {
            return Err(InvalidAccessToken::Malformed);
        }
        let header = token.split('.').next().unwrap_or_default();
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| InvalidAccessToken::Malformed)?;
        let header: StrictHeader = serde_json::from_slice(&header).map_err(|_| InvalidAccessToken::WrongHeader)?;
        if header.typ == TYPE { Ok(Self { token, header }) } else { Err(InvalidAccessToken::WrongHeader) }
    }

    /// Which key it claims to be signed with: to be looked up among ours, and nothing else.
    pub fn kid(&self) -> &str {
        &self.header.kid
    }

    /// Judges it by the one key, issuer and audience that it must have.
    pub fn verify(
        self,
        key: &VerifyingKey,
        issuer: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<Claims, InvalidAccessToken> {
        jws::use_ring();
        let algorithm = key.algorithm().into();
        if self.header.kid != key.kid() || self.header.alg != algorithm {
            return Err(InvalidAccessToken::WrongHeader);
        }

        // Only the signature is left to the library. It would read the wall clock for `exp`, and would skip the check of
        // a claim of an unexpected type (CVE-2026-25537); `Claims` demands each claim in its type.
        let mut signature_only = Validation::new(algorithm);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        let claims = jsonwebtoken::decode::<Claims>(self.token, key.decoding(), &signature_only)
            .map_err(|_| InvalidAccessToken::WrongSignatureOrClaims)?
            .claims;

        if claims.iss != issuer || claims.aud != audience {
            return Err(InvalidAccessToken::WrongIssuerOrAudience);
        }
        let latest = now.plus(CLOCK_SKEW).unix_seconds();
        if claims.exp <= now.unix_seconds() || claims.iat.max(claims.nbf.unwrap_or_default()) > latest {
            return Err(InvalidAccessToken::Expired);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::keys::SigningAlgorithm;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn key() -> SigningKey {
        SigningKey::from_base64(SigningAlgorithm::Es256, &SigningKey::generate_es256().unwrap()).unwrap()
    }

    fn issue(key: &SigningKey) -> String {
        let grant = Grant {
            issuer: "https://auth.example",
            audience: "latchkey",
            user: UserId::generate().unwrap(),
            session: SessionId::generate().unwrap(),
            epoch: 1,
            authenticated_at: NOW,
            lifetime: Duration::from_mins(15),
        };
        AccessToken::issue(key, grant, NOW).unwrap().reveal().to_owned()
    }

    fn check(token: &str, key: &SigningKey, now: Timestamp) -> Result<Claims, InvalidAccessToken> {
        Unverified::read(token)?.verify(key.verifying(), "https://auth.example", "latchkey", now)
    }

    /// Signs any header and claims with our own key.
    fn sign(key: &SigningKey, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), key.encoding(), jsonwebtoken::Algorithm::ES256).unwrap();
        format!("{message}.{signature}")
    }

    fn parts(token: &str) -> (Value, Value) {
        let decode = |part| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        let mut parts = token.split('.');
        (decode(parts.next().unwrap()), decode(parts.next().unwrap()))
    }

    #[test]
    fn a_token_lives_for_its_lifetime() {
        let key = key();
        let token = issue(&key);
        assert!(check(&token, &key, NOW).is_ok());
        assert!(check(&token, &key, NOW.plus(Duration::from_secs(899))).is_ok());
        assert_eq!(check(&token, &key, NOW.plus(Duration::from_mins(15))), Err(InvalidAccessToken::Expired));
        assert_eq!(check(&token, &key, NOW.minus(Duration::from_secs(31))), Err(InvalidAccessToken::Expired));
    }

    #[test]
    fn only_this_issuer_audience_and_key_are_taken() {
        let key = key();
        let token = issue(&key);
        let other = super::tests::key();
        assert_eq!(check(&token, &other, NOW), Err(InvalidAccessToken::WrongHeader));
        let elsewhere =
            |issuer, audience| Unverified::read(&token).unwrap().verify(key.verifying(), issuer, audience, NOW);
        assert_eq!(elsewhere("https://other.example", "latchkey"), Err(InvalidAccessToken::WrongIssuerOrAudience));
        assert_eq!(elsewhere("https://auth.example", "other"), Err(InvalidAccessToken::WrongIssuerOrAudience));
    }

    #[test]
    fn every_claim_is_demanded_in_its_type() {
        let key = key();
        let (header, claims) = parts(&issue(&key));
        assert!(check(&sign(&key, &header, &claims), &key, NOW).is_ok(), "the helper signs as we do");
        for name in claims.as_object().unwrap().keys() {
            let mut missing = claims.clone();
            missing.as_object_mut().unwrap().remove(name);
            let refused = check(&sign(&key, &header, &missing), &key, NOW);
            assert_eq!(refused, Err(InvalidAccessToken::WrongSignatureOrClaims), "without {name}");
        }
        for (name, value) in [
            ("exp", json!("9999999999")),
            ("exp", json!(-1)),
            ("iat", json!("1800000000")),
            ("aud", json!(["latchkey"])),
            ("sub", json!("someone")),
            ("amr", json!("pwd")),
        ] {
            let mut wrong = claims.clone();
            wrong[name] = value;
            assert!(check(&sign(&key, &header, &wrong), &key, NOW).is_err(), "{name}: {}", wrong[name]);
        }
    }

    #[test]
    fn a_header_that_is_not_ours_is_refused_even_when_signed_by_us() {
        let key = key();
        let (header, claims) = parts(&issue(&key));
        for (name, value) in [
            ("alg", json!("none")),
            ("alg", json!("HS256")),
            ("alg", json!("ES384")),
            ("typ", json!("JWT")),
            ("typ", json!("mfa+jwt")),
            ("kid", json!("../../etc/passwd")),
            ("kid", json!("x".repeat(1000))),
            ("jku", json!("https://attacker.example/keys")),
            ("jwk", json!({"kty": "EC"})),
            ("x5u", json!("https://attacker.example/cert")),
            ("crit", json!(["exp"])),
        ] {
            let mut wrong = header.clone();
            wrong[name] = value;
            let refused = check(&sign(&key, &wrong, &claims), &key, NOW);
            assert_eq!(refused, Err(InvalidAccessToken::WrongHeader), "{name}");
        }
    }

    #[test]
    fn a_cut_or_lengthened_token_is_refused() {
        let key = key();
        let token = issue(&key);
        for cut in 1..=8 {
            assert!(check(&token[..token.len() - cut], &key, NOW).is_err());
            assert!(check(&format!("{token}{}", "A".repeat(cut)), &key, NOW).is_err());
        }
        for other in [format!("{token}."), format!(".{token}"), format!("{token}="), token.replace('.', "..")] {
            assert!(check(&other, &key, NOW).is_err());
        }
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert!(check(&unsigned, &key, NOW).is_err());
        assert!(check(&"x".repeat(10_000), &key, NOW).is_err());
    }

    #[test]
    fn no_personal_data_is_in_a_token() {
        let (_, claims) = parts(&issue(&key()));
        let mut names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["amr", "aud", "auth_time", "client_id", "exp", "iat", "iss", "jti", "sid", "sub", "ver"]);
    }

    proptest! {
        #[test]
        fn any_text_is_refused_and_never_panics(text in "[a-zA-Z0-9._=-]{0,200}") {
            prop_assert!(check(&text, &key(), NOW).is_err());
        }
    }
}
