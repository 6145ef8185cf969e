//! Tokens that we sign: JWTs of several kinds, each with a type of its own, so that none is ever taken for another
//! (RFC 8725 section 3.11). Judged by the key's algorithm and never by what the token says.

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

/// Longer than any token of ours; longer ones are refused unread (docs/threats.md#j7).
const MAX_LENGTH: usize = 4096;

/// How far another machine's clock may be ahead of ours (docs/threats.md#j5).
const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// What every kind of token says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Who issued it.
    pub issuer: &'a str,
    /// Whom it is for.
    pub audience: &'a str,
    /// When it was issued, in Unix seconds.
    pub issued_at: u64,
    /// When it ends, in Unix seconds.
    pub ends_at: u64,
    /// From when on it counts, in Unix seconds, when it says so.
    pub not_before: Option<u64>,
}

/// The claims of one kind of token.
pub trait SignedClaims: Serialize + DeserializeOwned {
    /// `typ` in the header: what keeps one kind from being taken for another.
    const TYPE: &'static str;

    /// What they say of the token itself.
    fn envelope(&self) -> Envelope<'_>;
}

/// A claim that need not be there, but is a number when it is.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    u64::deserialize(deserializer).map(Some)
}

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// No randomness for the token's identifier.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The key did not sign.
    #[error("the token could not be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Signs claims. The text is a secret of its bearer.
pub(crate) fn sign<C: SignedClaims>(key: &SigningKey, claims: &C) -> Result<String, IssueError> {
    jws::use_ring();
    let mut header = Header::new(key.verifying().algorithm().into());
    header.typ = Some(C::TYPE.to_owned());
    header.kid = Some(key.verifying().kid().to_owned());
    Ok(jsonwebtoken::encode(&header, claims, key.encoding())?)
}

/// Why a token is not taken. For the log; the client learns only that it is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignedToken {
    /// Not a compact JWS of reasonable length with a JSON header of ours.
    #[error("not a token of ours by its shape")]
    Malformed,
    /// `alg` is not that of the key, `typ` is of another kind of token, or `kid` names no key.
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
pub struct Unverified<'a, C> {
    token: &'a str,
    header: StrictHeader,
    claims: PhantomData<C>,
}

impl<'a, C: SignedClaims> Unverified<'a, C> {
    /// Reads the header.
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
    ) -> Result<C, InvalidSignedToken> {
        jws::use_ring();
        let algorithm = key.algorithm().into();
        if self.header.kid != key.kid() || self.header.alg != algorithm {
            return Err(InvalidSignedToken::WrongHeader);
        }

        // Only the signature is left to the library. It would read the wall clock for `exp`, and would skip the check of
        // a claim of an unexpected type (CVE-2026-25537); `C` demands each claim in its type.
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
        if envelope.ends_at <= now.unix_seconds() || begins > latest {
            return Err(InvalidSignedToken::Expired);
        }
        Ok(claims)
    }
}
