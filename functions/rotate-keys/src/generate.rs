//! New keys.

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

/// The size of RSA keys: NIST SP 800-57 part 1, table 2, gives 2048 bits the strength of 112 and 3072 that of 128, which
/// P-256 has too.
const RSA_SIZE: KeySize = KeySize::Rsa3072;

/// A new key of this algorithm.
pub(crate) fn new_key(algorithm: SigningAlgorithm) -> Result<NewKey, ApiError> {
    let private_key = match algorithm {
        SigningAlgorithm::Es256 => SigningKey::generate_es256()?,
        // The one place that needs aws-lc: ring makes no RSA keys.
        SigningAlgorithm::Rs256 => {
            let failed = |_| ApiError::Internal("no RSA key could be made".into());
            let der: Pkcs8V1Der<'_> = KeyPair::generate(RSA_SIZE).and_then(|pair| pair.as_der()).map_err(failed)?;
            Zeroizing::new(BASE64_STANDARD.encode(der.as_ref()))
        }
    };
    Ok(NewKey { algorithm, private_key })
}
