//! The Lambda binary of `register`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(register::handle(app, ctx, request)))
        .hashing()
        .run()
}
