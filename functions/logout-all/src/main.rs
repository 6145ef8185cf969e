//! The Lambda binary of `logout-all`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run(|app, ctx, request| Box::pin(logout_all::handle(app, ctx, request)))
}
