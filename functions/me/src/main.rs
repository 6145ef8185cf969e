//! The Lambda binary of `me`.

fn main() -> Result<(), shared::runtime::Error> {
    shared::runtime::run(|app, ctx, request| Box::pin(me::handle(app, ctx, request)))
}
