//! Steps that endpoints share: authenticating callers, charging limits, sending and comparing codes, issuing tokens.

pub mod admission;
mod budgets;
pub mod caller;
pub mod codes;
pub mod login;
mod notices;
pub mod proof;
pub mod recycled;
pub mod refresh_token;
pub mod registration;
pub mod repeats;
pub mod second_factor;
pub mod second_step;
mod sending;
pub mod sign_in;
pub mod step_up;
pub mod token_pair;
mod waiting;

pub use budgets::{MessageSubjects, Pot, account_subject, address_subject, devices_subjects, phone_subjects};
pub use sending::floor;
