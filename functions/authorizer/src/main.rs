//! The Lambda binary of `authorizer`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_events(|app, invocation, event| Box::pin(authorizer::handle(app, invocation, event))).verifying().run()
}
