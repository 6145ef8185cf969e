//! Generates signing keys.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use latchkey::{
    ApiError,
    tokens::{
        key_schedule::NewKey,
        keys::{SigningAlgorithm, SigningKey},
    },
};
use zeroize::Zeroizing;

/// The size of RSA keys in bits. NIST SP 800-57 part 1, table 2, gives 2048 bits a strength of 112 and 3072 bits one of
/// 128, the same as P-256.
const RSA_SIZE: KeySize = KeySize::Rsa3072;

/// Generates a key for this algorithm.
pub(crate) fn new_key(algorithm: SigningAlgorithm) -> Result<NewKey, ApiError> {
    let private_key = match algorithm {
        SigningAlgorithm::Es256 => SigningKey::generate_es256()?,
        // Only this needs aws-lc, because ring generates no RSA keys.
        SigningAlgorithm::Rs256 => {
            let failed = |_| ApiError::Internal("the RSA key could not be generated".into());
            let der: Pkcs8V1Der<'_> = KeyPair::generate(RSA_SIZE).and_then(|pair| pair.as_der()).map_err(failed)?;
            Zeroizing::new(BASE64_STANDARD.encode(der.as_ref()))
        }
    };
    Ok(NewKey { algorithm, private_key })
}
