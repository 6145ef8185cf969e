//! The Lambda binary of `register`.

use shared::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(|app, ctx, request| Box::pin(register::handle(app, ctx, request))).hashing().run()
}
