//! The Lambda binary of `change-phone`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(change_phone::handle(app, ctx, request)))
        .hashing()
        .verifying()
        .run()
}
