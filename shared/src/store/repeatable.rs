//! What a request leaves of itself that ends a session or a login, so that its repetition is recognized
//! (docs/adr/0029-a-lost-confirmation.md).

use super::table::{
    expression::ItemUpdate,
    item::{moment, text},
};
use crate::{
    base::{id::SessionId, time::Timestamp},
    domain::{recovery_code::RecoverySeed, repeat::RepeatMac},
};

/// The request that ends a session or a login, as far as its repetition is recognized by it.
#[derive(Clone, Debug)]
pub struct Repeatable {
    /// The hash of the request.
    pub request: RepeatMac,
    /// The time until which it may be repeated.
    pub until: Timestamp,
    /// What the recovery codes in its response are derived from, if it has any.
    pub recovery_seed: Option<RecoverySeed>,
}

/// Adds to the update that ends an item which session a request has started in its place, and which request it was.
pub(super) fn leave(update: ItemUpdate, request: &RepeatMac, until: Timestamp, successor: SessionId) -> ItemUpdate {
    update
        .remove("#attempts")
        .set("#request = :request")
        .set("#request_ends_at = :request_ends_at")
        .set("#successor = :successor")
        .value(":request", request.into())
        .value(":request_ends_at", moment(until))
        .value(":successor", text(successor.to_string()))
}
