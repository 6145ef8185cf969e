//! The Lambda binary of `health`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run_stateless(health::handle)
}
