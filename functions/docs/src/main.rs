//! The Lambda binary of `docs`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run_stateless(docs::handle)
}
