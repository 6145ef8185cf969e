//! The Lambda binary of `refresh`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(refresh::handle(app, ctx, request)))
        .run()
}
