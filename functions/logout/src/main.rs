//! The Lambda binary of `logout`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run(|app, ctx, request| Box::pin(logout::handle(app, ctx, request)))
}
