//! The Lambda binary of `mfa-recovery-codes`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| {
        Box::pin(mfa_recovery_codes::handle(app, ctx, request))
    })
    .hashing()
    .verifying()
    .run()
}
