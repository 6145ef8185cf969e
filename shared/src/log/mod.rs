//! The lines that requests write into the log: audit events and counts.

pub mod audit;
pub mod line_log;
pub mod metrics;
