//! The Lambda binary of `login`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(login::handle(app, ctx, request)))
        .hashing()
        .run()
}
