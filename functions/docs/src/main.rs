//! The Lambda binary of `docs`.

fn main() -> Result<(), latchkey::runtime::Error> {
    latchkey::runtime::run_stateless(docs::handle)
}
