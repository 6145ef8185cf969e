//! The Lambda binary of `__NAME__`.

latchkey::lambda!(__IDENT__::handle, verifying);
