//! The Lambda binary of `request-reset`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run(|app, ctx, request| Box::pin(request_reset::handle(app, ctx, request)))
}
