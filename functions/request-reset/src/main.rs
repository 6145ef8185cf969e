//! The Lambda binary of `request-reset`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| {
        Box::pin(request_reset::handle(app, ctx, request))
    })
    .run()
}
