//! The handler of each function, by the function's name. The contract test compares this with the template.

use latchkey::{code, runtime::Code};
#[cfg(feature = "rsa")]
use rotate_keys::handle as rotate_keys;

/// Whether `rotate-keys` can generate RSA keys in this build.
pub const HAS_RSA: bool = cfg!(feature = "rsa");

/// The functions that the API's description does not name: those without a route of their own, and the one that serves
/// the description.
const OTHERS: [(&str, Code); 6] = [
    ("authorizer", code!(events authorizer::handle)),
    ("docs", code!(docs::handle)),
    ("rotate_keys", code!(events rotate_keys)),
    ("rotate_secret", code!(events rotate_secret::handle)),
    ("send_notices", code!(events send_notices::handle)),
    ("unmatched", code!(stateless unmatched::handle)),
];

/// Returns every function: the name of its crate, and its code.
pub fn functions() -> impl Iterator<Item = (&'static str, Code)> {
    docs::ENDPOINTS.iter().copied().chain(OTHERS)
}

/// Returns the code of the function with this name, if there is one.
pub fn code(name: &str) -> Option<Code> {
    let crate_name = name.replace('-', "_");
    functions().find(|(known, _)| *known == crate_name).map(|(_, code)| code)
}

/// `rotate-keys` of a build without aws-lc.
#[cfg(not(feature = "rsa"))]
async fn rotate_keys(
    app: &latchkey::App,
    invocation: &latchkey::runtime::Invocation,
    event: serde_json::Value,
) -> Result<serde_json::Value, latchkey::ApiError> {
    let no_rsa_key = || Err(latchkey::ApiError::Internal("this build generates no RSA keys".into()));
    key_rotation::handle(app, invocation, event, no_rsa_key).await
}
