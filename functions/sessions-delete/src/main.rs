//! The Lambda binary of `sessions-delete`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| {
        Box::pin(sessions_delete::handle(app, ctx, request))
    })
    .verifying()
    .run()
}
