//! The Lambda binary of `health`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run_stateless(|ctx, request| Box::pin(health::handle(ctx, request)))
}
