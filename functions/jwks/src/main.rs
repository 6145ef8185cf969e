//! The Lambda binary of `jwks`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(jwks::handle(app, ctx, request)))
        .verifying()
        .run()
}
