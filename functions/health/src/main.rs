//! The Lambda binary of `health`.

fn main() -> Result<(), latchkey::runtime::Error> {
    latchkey::runtime::run_stateless(health::handle)
}
