//! The Lambda binary of `sessions-delete`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run(|app, ctx, request| Box::pin(sessions_delete::handle(app, ctx, request)))
}
