//! The Lambda binary of `mfa-disable`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(mfa_disable::handle(app, ctx, request)))
        .hashing()
        .verifying()
        .run()
}
