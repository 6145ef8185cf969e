//! The Lambda binary of `authorizer`.

latchkey::lambda!(events authorizer::handle, verifying);
