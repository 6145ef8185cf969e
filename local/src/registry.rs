//! Which handler is behind which function's name. The contract test holds this to the template.

use latchkey::{code, runtime::Code};

/// What the description of the API does not name: functions without a route, and the description's own.
const OTHERS: [(&str, Code); 3] = [
    ("authorizer", code!(events authorizer::handle)),
    ("docs", code!(stateless docs::handle)),
    ("rotate_keys", code!(events rotate_keys::handle)),
];

/// Every function: its crate's name, and its code.
pub fn functions() -> impl Iterator<Item = (&'static str, Code)> {
    docs::ENDPOINTS.iter().copied().chain(OTHERS)
}

/// The code of a function.
pub fn code(name: &str) -> Option<Code> {
    let crate_name = name.replace('-', "_");
    functions().find(|(known, _)| *known == crate_name).map(|(_, code)| code)
}
