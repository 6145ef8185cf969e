//! The Lambda binary of `login-mfa`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(login_mfa::handle(app, ctx, request)))
        .verifying()
        .run()
}
