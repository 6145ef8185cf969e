//! The Lambda binary of `me-export`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(me_export::handle(app, ctx, request)))
        .verifying()
        .run()
}
