//! The Lambda binary of `change-password`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| {
        Box::pin(change_password::handle(app, ctx, request))
    })
    .hashing()
    .verifying()
    .run()
}
