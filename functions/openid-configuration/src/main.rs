//! The Lambda binary of `openid-configuration`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| {
        Box::pin(openid_configuration::handle(app, ctx, request))
    })
    .run()
}
