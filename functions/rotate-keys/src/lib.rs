//! `rotate-keys`: rotates the signing keys for Secrets Manager, and removes a key that has leaked.
//!
//! The work is that of [`key_rotation`]. Here is what generates RSA keys, apart from it, because nothing else needs aws-lc.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use latchkey::{ApiError, App, runtime::Invocation};
use serde_json::Value;
use zeroize::Zeroizing;

/// The size of RSA keys in bits. NIST SP 800-57 part 1, table 2, gives 2048 bits a strength of 112 and 3072 bits one of
/// 128, the same as P-256.
const RSA_SIZE: KeySize = KeySize::Rsa3072;

/// Runs one step of a rotation, or removes a key.
pub async fn handle(app: &App, invocation: &Invocation, event: Value) -> Result<Value, ApiError> {
    key_rotation::handle(app, invocation, event, new_rsa_key).await
}

/// Generates an RSA key, as PKCS #8 in Base64.
fn new_rsa_key() -> Result<Zeroizing<String>, ApiError> {
    let failed = |_| ApiError::Internal("the RSA key could not be generated".into());
    let der: Pkcs8V1Der<'_> = KeyPair::generate(RSA_SIZE).and_then(|pair| pair.as_der()).map_err(failed)?;
    Ok(Zeroizing::new(BASE64_STANDARD.encode(der.as_ref())))
}
