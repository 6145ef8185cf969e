//! The Lambda binary of `send-notices`.

latchkey::lambda!(events send_notices::handle);
