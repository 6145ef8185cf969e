//! Tokens that we sign: JWTs of several kinds. Each kind has its own type, so that no token passes for one of another
//! kind (RFC 8725 section 3.11). A token is verified by the key's algorithm, never by the one that its header names.

use std::{marker::PhantomData, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Header, Validation};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::{
    base::{random::RandomError, time::Timestamp},
    tokens::{
        jws,
        keys::{SigningKey, VerifyingKey},
    },
};

/// The greatest length of a token, in bytes. Ours are shorter; longer texts are refused unread (docs/threats.md#j7).
const MAX_LENGTH: usize = 4096;

/// The time by which another machine's clock may be ahead of ours (docs/threats.md#j5).
const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// The claims that every kind of token has.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// The audience.
    pub audience: &'a str,
    /// The time of issue, in Unix seconds.
    pub issued_at: u64,
    /// The time of expiry, in Unix seconds.
    pub ends_at: u64,
    /// The time from which the token is valid, in Unix seconds, if it has such a claim.
    pub not_before: Option<u64>,
}

/// The claims of one kind of token.
pub trait SignedClaims: Serialize + DeserializeOwned {
    /// The `typ` in the header, which differs between kinds of tokens.
    const TYPE: &'static str;

    /// Returns the claims that every kind of token has.
    fn envelope(&self) -> Envelope<'_>;
}

/// Reads an optional claim, which must be a number if it is present.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    u64::deserialize(deserializer).map(Some)
}

/// The reason why a token could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The operating system returned no random bytes for the token's identifier.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The cipher refused.
    #[error("the user of the token could not be encrypted")]
    Cipher,
    /// Signing with the key failed.
    #[error("the token could not be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Signs claims and returns the token's text, which is a secret of the bearer.
pub(crate) fn sign<C: SignedClaims>(key: &SigningKey, claims: &C) -> Result<String, IssueError> {
    jws::use_ring();
    let mut header = Header::new(key.verifying().algorithm().into());
    header.typ = Some(C::TYPE.to_owned());
    header.kid = Some(key.verifying().kid().to_owned());
    Ok(jsonwebtoken::encode(&header, claims, key.encoding())?)
}

/// The reason why a token is refused, for the log. The client learns only that the token is invalid or has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignedToken {
    /// The text is too long, or is not a compact JWS.
    #[error("the text does not have the form of a token")]
    Malformed,
    /// The header is not one that we write, its `alg` is not that of the key, its `typ` is that of another kind of
    /// token, or its `kid` names no key.
    #[error("the header is not ours, or names another type, algorithm or key")]
    WrongHeader,
    /// The signature is not the key's, or a claim is missing or has the wrong type.
    #[error("the signature is wrong, or a claim is missing or has the wrong type")]
    WrongSignatureOrClaims,
    /// The token has another issuer or another audience.
    #[error("the token has another issuer or another audience")]
    WrongIssuerOrAudience,
    /// The token has expired, or was issued in the future.
    #[error("the token has expired or is not valid yet")]
    Expired,
}

/// The only header that we write. A token whose header has another member (`jku`, `jwk`, `x5u`, `crit`, …) is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    typ: String,
    alg: jsonwebtoken::Algorithm,
    kid: String,
}

/// A token whose header has been read but not verified.
pub struct Unverified<'a, C> {
    token: &'a str,
    header: StrictHeader,
    claims: PhantomData<C>,
}

impl<'a, C: SignedClaims> Unverified<'a, C> {
    /// Reads the header, and refuses one that we would not write.
    pub fn read(token: &'a str) -> Result<Self, InvalidSignedToken> {
        if token.len() > MAX_LENGTH || token.split('.').count() != 3 {
            return Err(InvalidSignedToken::Malformed);
        }
        let header = token.split('.').next().unwrap_or_default();
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| InvalidSignedToken::Malformed)?;
        let header: StrictHeader = serde_json::from_slice(&header).map_err(|_| InvalidSignedToken::WrongHeader)?;
        if header.typ == C::TYPE {
            Ok(Self { token, header, claims: PhantomData })
        } else {
            Err(InvalidSignedToken::WrongHeader)
        }
    }

    /// Returns the `kid` that the header claims. Use it only to look up one of our keys.
    pub fn kid(&self) -> &str {
        &self.header.kid
    }

    /// Verifies the token with this key, issuer and audience at `now`, and returns its claims.
    pub fn verify(
        self,
        key: &VerifyingKey,
        issuer: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<C, InvalidSignedToken> {
        let claims = self.verify_of_any_age(key, issuer, audience, now)?;
        if claims.envelope().ends_at <= now.unix_seconds() {
            return Err(InvalidSignedToken::Expired);
        }
        Ok(claims)
    }

    /// Verifies all of that but the time of expiry. The claims of an expired token show what it was issued for, and
    /// authorize nothing.
    pub fn verify_of_any_age(
        self,
        key: &VerifyingKey,
        issuer: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<C, InvalidSignedToken> {
        jws::use_ring();
        let algorithm = key.algorithm().into();
        if self.header.kid != key.kid() || self.header.alg != algorithm {
            return Err(InvalidSignedToken::WrongHeader);
        }

        // The library verifies only the signature. It would compare `exp` with the wall clock and would skip the check
        // of a claim that has an unexpected type (CVE-2026-25537). `C` requires each claim in its type.
        let mut signature_only = Validation::new(algorithm);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        let claims = jsonwebtoken::decode::<C>(self.token, key.decoding(), &signature_only)
            .map_err(|_| InvalidSignedToken::WrongSignatureOrClaims)?
            .claims;

        let envelope = claims.envelope();
        if envelope.issuer != issuer || envelope.audience != audience {
            return Err(InvalidSignedToken::WrongIssuerOrAudience);
        }
        let latest = now.plus(CLOCK_SKEW).unix_seconds();
        let begins = envelope.issued_at.max(envelope.not_before.unwrap_or_default());
        if begins > latest {
            return Err(InvalidSignedToken::Expired);
        }
        Ok(claims)
    }
}
