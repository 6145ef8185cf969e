//! What each request leaves in the log: an audit event, and counts.

pub mod audit;
pub mod line_log;
pub mod metrics;
