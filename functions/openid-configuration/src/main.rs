//! The Lambda binary of `openid-configuration`.

latchkey::lambda!(openid_configuration::handle, at_once(0));
