//! The Lambda binary of `docs`.

latchkey::lambda!(stateless docs::handle, docs::prepare);
