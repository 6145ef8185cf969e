//! The Lambda binary of `sessions`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run(|app, ctx, request| Box::pin(sessions::handle(app, ctx, request)))
}
