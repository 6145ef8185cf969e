//! What endpoints share, step by step: who asks, what is charged, which codes are sent and compared, which tokens are handed out.

pub mod admission;
mod budgets;
pub mod caller;
pub mod codes;
mod notices;
pub mod registration;
pub mod second_factor;
mod sending;
pub mod token_pair;

pub use budgets::MessageSubjects;
pub use sending::floor;
