//! The handler of each function, by the function's name. The contract test compares this with the template.

use latchkey::{code, runtime::Code};

/// The functions that the API's description does not name: those without a route of their own, and the one that serves
/// the description.
const OTHERS: [(&str, Code); 6] = [
    ("authorizer", code!(events authorizer::handle)),
    ("docs", code!(docs::handle)),
    ("rotate_keys", code!(events rotate_keys::handle)),
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
