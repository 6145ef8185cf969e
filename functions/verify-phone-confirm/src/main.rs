//! The Lambda binary of `verify-phone-confirm`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| {
        Box::pin(verify_phone_confirm::handle(app, ctx, request))
    })
    .verifying()
    .run()
}
