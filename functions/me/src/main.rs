//! The Lambda binary of `me`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(me::handle(app, ctx, request)))
        .verifying()
        .run()
}
