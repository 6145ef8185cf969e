//! The Lambda binary of `verify-reset`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run_hashing(|app, ctx, request| Box::pin(verify_reset::handle(app, ctx, request)))
}
