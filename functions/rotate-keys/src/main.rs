//! The Lambda binary of `rotate-keys`.

use latchkey::runtime::{Error, Function};

fn main() -> Result<(), Error> {
    Function::of_events(|app, invocation, event| Box::pin(rotate_keys::handle(app, invocation, event))).run()
}
