//! The Lambda binary of `me-delete`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(me_delete::handle(app, ctx, request)))
        .hashing()
        .verifying()
        .run()
}
