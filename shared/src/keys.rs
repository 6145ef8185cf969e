//! The secrets that the table does not hold: one master secret, from which a key per use is derived, and the key that
//! signs access tokens.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType, Jwk,
        KeyAlgorithm, PublicKeyUse, ThumbprintHash,
    },
};
use ring::{
    hkdf, hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use zeroize::Zeroizing;

use crate::{jws, random::RandomError};

/// Why a key cannot be used. The sentences never repeat the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not base64.
    #[error("must be base64 (`cargo run -- new-keys` makes the keys of a deployment)")]
    NotBase64,
    /// Too little to be a secret.
    #[error("must be at least {SECRET_LENGTH} random bytes in base64 (`openssl rand -base64 {SECRET_LENGTH}`)")]
    TooShort,
    /// Not a private P-256 key.
    #[error("must be a P-256 private key, PKCS#8 DER in base64 (docs/OPERATIONS.md says how to make one)")]
    NotP256,
}

/// How many bytes a secret has at least: the strength of HMAC-SHA-256.
pub const SECRET_LENGTH: usize = 32;

/// The master secret (`SECRET_KEY`) as one key per use: a key that leaks or is misused in one place opens no other.
#[derive(Clone)]
pub struct Secret {
    /// Hashes one-time codes.
    pub otp: hmac::Key,
    /// Authenticates refresh tokens.
    pub refresh_token: hmac::Key,
}

impl Secret {
    /// Reads it from base64.
    pub fn from_base64(text: &str) -> Result<Self, InvalidKey> {
        let master = Zeroizing::new(BASE64_STANDARD.decode(text).map_err(|_| InvalidKey::NotBase64)?);
        if master.len() < SECRET_LENGTH {
            return Err(InvalidKey::TooShort);
        }
        Ok(Self { otp: derive(&master, b"latchkey otp v1")?, refresh_token: derive(&master, b"latchkey refresh v1")? })
    }

    /// A new one in base64, for whoever sets a system up.
    pub fn generate_base64() -> Result<Zeroizing<String>, RandomError> {
        let bytes = Zeroizing::new(crate::random::bytes::<SECRET_LENGTH>()?);
        Ok(Zeroizing::new(BASE64_STANDARD.encode(*bytes)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// HKDF-SHA-256 (RFC 5869), the use as info.
fn derive(master: &[u8], usage: &[u8]) -> Result<hmac::Key, InvalidKey> {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]);
    let info = [usage];
    let pseudorandom = salt.extract(master);
    let key = pseudorandom.expand(&info, hmac::HMAC_SHA256).map_err(|_| InvalidKey::TooShort)?;
    Ok(key.into())
}

/// The key that signs access tokens (`SIGNING_KEY`), with its public half. ES256: P-256 with SHA-256.
#[derive(Clone)]
pub struct SigningKey {
    encoding: EncodingKey,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// Reads it from base64 of PKCS#8 DER.
    pub fn from_base64(text: &str) -> Result<Self, InvalidKey> {
        let der = Zeroizing::new(BASE64_STANDARD.decode(text).map_err(|_| InvalidKey::NotBase64)?);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &SystemRandom::new())
            .map_err(|_| InvalidKey::NotP256)?;
        let verifying = VerifyingKey::from_p256_point(pair.public_key().as_ref())?;
        Ok(Self { encoding: EncodingKey::from_ec_der(&der), verifying })
    }

    /// A new one in the form that [`Self::from_base64`] reads.
    pub fn generate_base64() -> Result<Zeroizing<String>, RandomError> {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| RandomError)?;
        Ok(Zeroizing::new(BASE64_STANDARD.encode(der)))
    }

    /// The public half.
    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    pub(crate) fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.verifying.kid)
    }
}

/// The public half of a [`SigningKey`]: one algorithm, pinned by its `kid`.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: String,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

impl VerifyingKey {
    /// `point` is the uncompressed public point: `0x04`, x, y.
    fn from_p256_point(point: &[u8]) -> Result<Self, InvalidKey> {
        jws::use_ring();
        let (x, y) = point.get(1..65).and_then(|xy| xy.split_at_checked(32)).ok_or(InvalidKey::NotP256)?;
        let base64url = |bytes| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let jwk = Jwk {
            common: CommonParameters {
                public_key_use: Some(PublicKeyUse::Signature),
                key_algorithm: Some(KeyAlgorithm::ES256),
                ..CommonParameters::default()
            },
            algorithm: AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
                key_type: EllipticCurveKeyType::EC,
                curve: EllipticCurve::P256,
                x: base64url(x),
                y: base64url(y),
            }),
        };
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| InvalidKey::NotP256)?;
        Ok(Self { kid, algorithm: Algorithm::ES256, decoding: DecodingKey::from_ec_der(point) })
    }

    /// Its identifier: the JWK thumbprint (RFC 7638), so that a `kid` cannot name two keys.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.kid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_keys_read_back() {
        assert!(Secret::from_base64(&Secret::generate_base64().unwrap()).is_ok());
        let text = SigningKey::generate_base64().unwrap();
        let key = SigningKey::from_base64(&text).unwrap();
        assert_eq!(SigningKey::from_base64(&text).unwrap().verifying().kid(), key.verifying().kid());
        assert_eq!(key.verifying().kid().len(), 43, "base64url of 32 bytes");
    }

    #[test]
    fn what_is_no_key_is_refused_by_reason() {
        assert_eq!(Secret::from_base64("not base64!").unwrap_err(), InvalidKey::NotBase64);
        assert_eq!(Secret::from_base64("c2hvcnQ=").unwrap_err(), InvalidKey::TooShort);
        assert_eq!(SigningKey::from_base64("c2hvcnQ=").unwrap_err(), InvalidKey::NotP256);
    }

    #[test]
    fn one_master_gives_different_keys_for_different_uses() {
        let secret = Secret::from_base64(&Secret::generate_base64().unwrap()).unwrap();
        assert_ne!(hmac::sign(&secret.otp, b"x").as_ref(), hmac::sign(&secret.refresh_token, b"x").as_ref());
    }

    #[test]
    fn nothing_prints_a_key() {
        let text = SigningKey::generate_base64().unwrap();
        let key = SigningKey::from_base64(&text).unwrap();
        let secret = Secret::from_base64(&Secret::generate_base64().unwrap()).unwrap();
        let kid = key.verifying().kid();
        assert_eq!(format!("{key:?} {secret:?}"), format!("SigningKey({kid}) Secret"));
    }
}
