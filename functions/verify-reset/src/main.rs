//! The Lambda binary of `verify-reset`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(verify_reset::handle(app, ctx, request)))
        .hashing()
        .run()
}
