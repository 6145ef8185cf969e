//! Numbering plans: which phone numbers exist, and of what kind and country they are.
//!
//! The tables are libphonenumber's, and so are the rules; `oracle/tests/oracle.rs` compares both with the library. The library
//! itself reads the tables of every country and compiles a dozen regular expressions before it reads its first number,
//! which costs more instructions than everything else that a function does when it starts. Here the tables are part of
//! the binary and only those of one calling code are read.
//!
//! Texts are digits, behind `+` or not. Everything else that people type is the caller's to drop or to refuse.

mod number;
mod pattern;
mod plan;

pub use number::{Kind, Number};
pub use plan::Plan;
