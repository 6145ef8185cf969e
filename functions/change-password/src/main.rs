//! The Lambda binary of `change-password`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run_hashing(|app, ctx, request| Box::pin(change_password::handle(app, ctx, request)))
}
