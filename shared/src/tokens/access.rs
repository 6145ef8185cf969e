//! Access tokens: JWTs in the profile of RFC 9068.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    base::{
        id::{SessionId, TokenId, UserId},
        time::Timestamp,
    },
    domain::proof::Authentication,
    tokens::{
        keys::SigningKey,
        signed::{self, Envelope, IssueError, SignedClaims},
    },
};

/// The value of `client_id`, which RFC 9068 section 2.2 requires. There is one client, the operator's own application.
const CLIENT_ID: &str = "latchkey";

/// The claims of an access token. They contain no phone number and no other personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The audience: always one, as a string.
    pub aud: String,
    /// The user.
    pub sub: UserId,
    /// The client that the token was issued to.
    pub client_id: String,
    /// The session that the token belongs to and ends with.
    pub sid: SessionId,
    /// The time of issue, in Unix seconds.
    pub iat: u64,
    /// The time of expiry, in Unix seconds.
    pub exp: u64,
    /// The time from which the token is valid, in Unix seconds. We never set it, but obey it if it is present.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "signed::number")]
    pub nbf: Option<u64>,
    /// The token's identifier.
    pub jti: TokenId,
    /// The time at which the user last proved who they are, in Unix seconds.
    pub auth_time: u64,
    /// The methods by which the user proved it (RFC 8176).
    pub amr: Vec<String>,
    /// The account's epoch at the time of issue.
    pub ver: u64,
}

impl SignedClaims for Claims {
    /// The type that RFC 9068 section 2.1 requires.
    const TYPE: &'static str = "at+jwt";

    fn envelope(&self) -> Envelope<'_> {
        let Self { iss, aud, iat, exp, nbf, .. } = self;
        Envelope { issuer: iss, audience: aud, issued_at: *iat, ends_at: *exp, not_before: *nbf }
    }
}

/// The values that a login or a refresh puts into an access token.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The issuer: `iss`.
    pub issuer: &'a str,
    /// The audience: `aud`.
    pub audience: &'a str,
    /// The user: `sub`.
    pub user: UserId,
    /// The session: `sid`.
    pub session: SessionId,
    /// The account's epoch: `ver`.
    pub epoch: u64,
    /// How and when the user proved who they are: `amr` and `auth_time`.
    pub authentication: Authentication,
    /// The lifetime of the token.
    pub lifetime: Duration,
}

/// A signed access token. Its text is a secret of the bearer.
pub struct AccessToken(String);

impl AccessToken {
    /// Issues a token: sets its times and identifier, and signs it.
    pub fn issue(key: &SigningKey, grant: Grant<'_>, now: Timestamp) -> Result<Self, IssueError> {
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
            auth_time: grant.authentication.at.unix_seconds(),
            amr: grant.authentication.amr().map(str::to_owned).collect(),
            ver: grant.epoch,
        };
        signed::sign(key, &claims).map(Self)
    }

    /// Returns the token's text, which may go only to the bearer.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken")
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        domain::proof::SignInMethod,
        tokens::{
            keys::SigningAlgorithm,
            signed::{InvalidSignedToken, Unverified},
        },
    };

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
            authentication: Authentication::new(SignInMethod::Password, false, NOW),
            lifetime: Duration::from_mins(15),
        };
        AccessToken::issue(key, grant, NOW).unwrap().reveal().to_owned()
    }

    fn check(token: &str, key: &SigningKey, now: Timestamp) -> Result<Claims, InvalidSignedToken> {
        Unverified::read(token)?.verify(key.verifying(), "https://auth.example", "latchkey", now)
    }

    /// Signs any header and any claims with this key.
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
        assert_eq!(check(&token, &key, NOW.plus(Duration::from_mins(15))), Err(InvalidSignedToken::Expired));
        assert_eq!(check(&token, &key, NOW.minus(Duration::from_secs(31))), Err(InvalidSignedToken::Expired));
    }

    #[test]
    fn only_this_issuer_audience_and_key_are_taken() {
        let key = key();
        let token = issue(&key);
        let other = super::tests::key();
        assert_eq!(check(&token, &other, NOW), Err(InvalidSignedToken::WrongHeader));
        let elsewhere = |issuer, audience| {
            Unverified::<Claims>::read(&token).unwrap().verify(key.verifying(), issuer, audience, NOW)
        };
        assert_eq!(elsewhere("https://other.example", "latchkey"), Err(InvalidSignedToken::WrongIssuerOrAudience));
        assert_eq!(elsewhere("https://auth.example", "other"), Err(InvalidSignedToken::WrongIssuerOrAudience));
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
            assert_eq!(refused, Err(InvalidSignedToken::WrongSignatureOrClaims), "without {name}");
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
            assert_eq!(refused, Err(InvalidSignedToken::WrongHeader), "{name}");
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
