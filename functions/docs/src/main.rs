//! The Lambda binary of `docs`.

latchkey::lambda!(after docs::prepare, docs::handle, at_once(0));
