//! The Lambda binary of `start-anew`.

latchkey::lambda!(start_anew::handle, hashing, verifying, at_once(2));
