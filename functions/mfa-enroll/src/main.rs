//! The Lambda binary of `mfa-enroll`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| Box::pin(mfa_enroll::handle(app, ctx, request)))
        .hashing()
        .verifying()
        .run()
}
