//! The Lambda binary of `logout`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(logout::handle(app, ctx, request)))
        .verifying()
        .run()
}
