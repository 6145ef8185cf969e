//! A backend for `jsonwebtoken` that signs and verifies with *ring*, which the binaries contain for TLS anyway. The
//! aws-lc backend of `jsonwebtoken` costs a cold start some 420 M instructions; its RustCrypto backend costs 0.4 ms per
//! signature and brings in the `rsa` crate of RUSTSEC-2023-0071.
//!
//! Only ES256 and RS256 are supported. Any other algorithm is an error, whatever a token's header says.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind, Result},
    jwk::ThumbprintHash,
};
use ring::{
    digest,
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_SHA256, UnparsedPublicKey,
    },
};
use signature::{Signer, Verifier};

/// Makes *ring* the backend of `jsonwebtoken` in this process. Repeated calls do nothing.
pub(crate) fn use_ring() {
    // An error means that the backend has been installed already.
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| match algorithm {
        Algorithm::ES256 => Ok(Box::new(Es256Signer::new(key)?)),
        Algorithm::RS256 => Ok(Box::new(Rs256Signer::new(key)?)),
        _ => Err(unsupported()),
    },
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::ES256 => Ok(Box::new(Es256Verifier::new(key)?)),
        Algorithm::RS256 => Ok(Box::new(Rs256Verifier::new(key)?)),
        _ => Err(unsupported()),
    },
    key_utils: KeyUtils { compute_digest, ..KeyUtils::new_unimplemented() },
};

fn unsupported() -> Error {
    ErrorKind::InvalidAlgorithm.into()
}

#[expect(clippy::needless_pass_by_value, reason = "the library defines the signature")]
fn compute_digest(data: &[u8], hash: ThumbprintHash) -> Result<Vec<u8>> {
    match hash {
        ThumbprintHash::SHA256 => Ok(digest::digest(&digest::SHA256, data).as_ref().to_vec()),
        _ => Err(unsupported()),
    }
}

struct Es256Signer(EcdsaKeyPair);

impl Es256Signer {
    fn new(key: &EncodingKey) -> Result<Self> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_bytes(), &SystemRandom::new())
            .map(Self)
            .map_err(|_| ErrorKind::InvalidEcdsaKey.into())
    }
}

impl Signer<Vec<u8>> for Es256Signer {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| signature::Error::new())?;
        Ok(signature.as_ref().to_vec())
    }
}

impl JwtSigner for Es256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

struct Es256Verifier(UnparsedPublicKey<Vec<u8>>);

impl Es256Verifier {
    fn new(key: &DecodingKey) -> Result<Self> {
        Ok(Self(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.try_get_as_bytes()?.to_vec())))
    }
}

impl Verifier<Vec<u8>> for Es256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        self.0.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Es256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

struct Rs256Signer(rsa::KeyPair);

impl Rs256Signer {
    fn new(key: &EncodingKey) -> Result<Self> {
        rsa::KeyPair::from_pkcs8(key.as_bytes()).map(Self).map_err(|_| ErrorKind::InvalidKeyFormat.into())
    }
}

impl Signer<Vec<u8>> for Rs256Signer {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| signature::Error::new())?;
        Ok(signature)
    }
}

impl JwtSigner for Rs256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

struct Rs256Verifier(rsa::PublicKeyComponents<Vec<u8>>);

impl Rs256Verifier {
    fn new(key: &DecodingKey) -> Result<Self> {
        match key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                Ok(Self(rsa::PublicKeyComponents { n: n.clone(), e: e.clone() }))
            }
            DecodingKeyKind::SecretOrDer(_) => Err(ErrorKind::InvalidKeyFormat.into()),
        }
    }
}

impl Verifier<Vec<u8>> for Rs256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        self.0.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Rs256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}
