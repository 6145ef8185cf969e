//! The Lambda binary of `activate`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(activate::handle(app, ctx, request)))
        .run()
}
