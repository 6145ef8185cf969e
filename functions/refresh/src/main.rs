//! The Lambda binary of `refresh`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run(|app, ctx, request| Box::pin(refresh::handle(app, ctx, request)))
}
