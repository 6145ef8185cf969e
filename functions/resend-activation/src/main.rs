//! The Lambda binary of `resend-activation`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| {
        Box::pin(resend_activation::handle(app, ctx, request))
    })
    .run()
}
