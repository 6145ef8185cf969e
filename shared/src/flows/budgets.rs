//! The budgets that a message is charged to before it is sent.

use std::time::Duration;

use crate::{
    app::App,
    base::time::Timestamp,
    domain::phone::Phone,
    error::ApiError,
    http::context::Context,
    log::{audit, metrics::Metric},
    store::{Bucket, Limit, LimitReached},
    tokens::keys::Secret,
};

/// The phone, address and country whose budgets a message is charged to. Phone and address are pseudonyms, because counts
/// outlive a deleted account (docs/threats.md#r9).
#[derive(Clone, Debug)]
pub struct MessageSubjects {
    pub(super) phone: String,
    pub(super) address: String,
    country: String,
}

impl MessageSubjects {
    /// Returns the subjects of a message to this phone that this request causes.
    pub fn new(secret: &Secret, phone: &Phone, ctx: &Context) -> Self {
        Self {
            phone: audit::pseudonym(&secret.audit, phone),
            address: address_subject(secret, ctx),
            country: phone.country_code(),
        }
    }
}

/// Returns the subject of limits that count what the caller's address does: a pseudonym, because the address belongs to a
/// person.
pub fn address_subject(secret: &Secret, ctx: &Context) -> String {
    audit::pseudonym_of(&secret.audit, &ctx.source.subject())
}

impl App {
    /// Returns the budgets that a message is charged to, all or nothing.
    pub fn message_budgets<'a>(&self, subjects: &'a MessageSubjects) -> [Limit<'a>; 4] {
        let limits = self.config.limits;
        let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
        [
            (Bucket::MessagesPhone, subjects.phone.as_str(), limits.messages_per_phone, day),
            (Bucket::MessagesAddress, &subjects.address, limits.messages_per_address, hour),
            (Bucket::MessagesCountry, &subjects.country, limits.messages_per_country, hour),
            (Bucket::MessagesTotal, "all", limits.messages_total, hour),
        ]
        .map(|(bucket, subject, allowed, window)| Limit { bucket, subject, allowed, window })
    }

    /// Returns the error for a budget that is used up. Counts it for the alarm if many people share the budget.
    pub fn message_limit_reached(&self, reached: LimitReached, now: Timestamp) -> ApiError {
        self.count_if_shared(reached.bucket, now);
        reached.into()
    }

    /// Counts a used-up budget for the alarm, if many people share it: that of a country, or the total.
    pub(super) fn count_if_shared(&self, bucket: Bucket, now: Timestamp) {
        if bucket.is_shared() {
            self.metrics.count(Metric::MessagesBudgetReached, bucket.as_str(), now);
        }
    }
}
