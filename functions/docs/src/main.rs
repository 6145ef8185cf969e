//! The Lambda binary of `docs`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run_stateless(|ctx, request| Box::pin(docs::handle(ctx, request)))
}
