//! The Lambda binary of `logout-all`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(logout_all::handle(app, ctx, request)))
        .verifying()
        .run()
}
