//! The Lambda binary of `register`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run_hashing(|app, ctx, request| Box::pin(register::handle(app, ctx, request)))
}
