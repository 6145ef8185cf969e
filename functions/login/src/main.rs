//! The Lambda binary of `login`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run_hashing(|app, ctx, request| Box::pin(login::handle(app, ctx, request)))
}
