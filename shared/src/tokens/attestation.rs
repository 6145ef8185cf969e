//! Attestations: what a function of the team's own signs after it has checked who asks, by a CAPTCHA or by the attestation of
//! an app (docs/adr/0055-proofs-before-messages.md).

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use serde::{Deserialize, Serialize};

use super::{
    keys::{InvalidKey, VerifyingKey},
    signed::{Envelope, InvalidSignedToken, SignedClaims, Unverified},
};
use crate::{
    base::{time::Timestamp, variables::Variables},
    domain::phone::Phone,
};

/// The longest time that an attestation may count for.
pub const MAX_LIFETIME: Duration = Duration::from_mins(10);

/// The greatest number of bits of a puzzle: 16 million hashes, some ten seconds of a phone.
const MOST_BITS: u64 = 24;

/// The proofs that callers show before they are sent a message, while a budget that strangers share is half used up.
#[derive(Clone, Debug, Default)]
pub struct ProofSettings {
    /// `PROOF_OF_WORK_BITS`: the difficulty of puzzles, as the bits of a hash that must be zero; none if there are none.
    pub work_bits: Option<u8>,
    /// `ATTESTATION_PUBLIC_KEY`: the public key of the team's function, a JWK; none if there is none.
    pub attestation_key: Option<VerifyingKey>,
}

impl ProofSettings {
    /// Reads `PROOF_OF_WORK_BITS` and `ATTESTATION_PUBLIC_KEY`.
    pub fn read(read: &mut Variables<'_>) -> Self {
        let bits = read.number("PROOF_OF_WORK_BITS", 0, 0..=MOST_BITS);
        let work_bits = u8::try_from(bits).ok().filter(|bits| *bits > 0);
        Self { work_bits, attestation_key: read.with("ATTESTATION_PUBLIC_KEY", key) }
    }

    /// Returns whether any proof is ever asked for.
    pub fn is_on(&self) -> bool {
        self.work_bits.is_some() || self.attestation_key.is_some()
    }
}

/// The claims of an attestation. Nobody but the team's function signs one, by a key that signs nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestationClaims {
    /// The audience: that of our access tokens (`JWT_AUDIENCE`).
    pub aud: String,
    /// The phone that a message may be sent to, in E.164.
    pub phone: String,
    /// The time of issue, in Unix seconds.
    pub iat: u64,
    /// The time of expiry, in Unix seconds.
    pub exp: u64,
}

impl SignedClaims for AttestationClaims {
    const TYPE: &'static str = "attestation+jwt";

    fn envelope(&self) -> Envelope<'_> {
        Envelope { issuer: "", audience: &self.aud, issued_at: self.iat, ends_at: self.exp, not_before: None }
    }
}

/// Reads the public key of the team's function: a JWK, as JSON.
fn key(jwk: &str) -> Result<VerifyingKey, InvalidKey> {
    let jwk: Jwk = serde_json::from_str(jwk).map_err(|_| InvalidKey::NotAPublicKey)?;
    VerifyingKey::from_jwk(&jwk)
}

/// Verifies that a text is an attestation for this phone.
pub fn verify(
    text: &str,
    key: &VerifyingKey,
    (audience, phone): (&str, &Phone),
    now: Timestamp,
) -> Result<(), InvalidSignedToken> {
    let claims = Unverified::<AttestationClaims>::read(text)?.verify(key, "", audience, now)?;
    let is_short = claims.exp.saturating_sub(claims.iat) <= MAX_LIFETIME.as_secs();
    if claims.phone == phone.as_e164() && is_short { Ok(()) } else { Err(InvalidSignedToken::WrongSignatureOrClaims) }
}
