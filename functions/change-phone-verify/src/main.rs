//! The Lambda binary of `change-phone-verify`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| {
        Box::pin(change_phone_verify::handle(app, ctx, request))
    })
    .verifying()
    .run()
}
