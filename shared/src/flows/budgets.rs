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
    tokens::secret::Secret,
};

/// The number of requests for messages that an address may make for each message that it may be sent: a request whose
/// message fails gives its message back, and no more than that.
const REQUESTS_PER_MESSAGE: u64 = 5;

/// The least number of those requests, whatever the number of messages: phones share addresses behind carriers' NAT.
const LEAST_REQUESTS: u64 = 300;

/// The phone, address and country whose budgets a message is charged to. Phone and address are pseudonyms, because counts
/// outlive a deleted account (docs/threats.md#r9).
#[derive(Clone, Debug)]
pub struct MessageSubjects {
    phone: String,
    address: String,
    requester: String,
    country: &'static str,
}

impl MessageSubjects {
    /// Returns the subjects of a message to this phone that this request causes.
    pub fn new(secret: &Secret, phone: &Phone, ctx: &Context) -> Self {
        let address = address_subject(secret, ctx);
        let phone_subject = audit::pseudonym(&secret.counting.audit, phone);
        Self { phone: phone_subject, requester: address.clone(), address, country: phone.country_code() }
    }

    /// Returns the same with budgets of phone and address that are this kind of message's own.
    #[must_use]
    pub fn of_kind(self, kind: &str) -> Self {
        Self { phone: format!("{kind}:{}", self.phone), address: format!("{kind}:{}", self.address), ..self }
    }

    /// Returns the subjects of a code for a password reset. What became of its message must not show in what other
    /// requests are answered (docs/adr/0024-what-was-not-sent-costs-nothing.md).
    #[must_use]
    pub fn of_resets(self) -> Self {
        self.of_kind("reset")
    }

    /// Returns the subjects of a code to sign in with, for the same reason.
    #[must_use]
    pub fn of_sign_ins(self) -> Self {
        self.of_kind("sign-in")
    }
}

/// Returns the subject of limits that count what the caller's address does: a pseudonym, because the address belongs to a
/// person.
pub fn address_subject(secret: &Secret, ctx: &Context) -> String {
    audit::pseudonym_of(&secret.counting.audit, &ctx.source.subject())
}

impl App {
    /// Returns the budgets that a message is charged to, all or nothing.
    pub fn message_budgets<'a>(&self, subjects: &'a MessageSubjects) -> [Limit<'a>; 4] {
        let limits = self.config.limits;
        let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
        [
            (Bucket::MessagesPhone, subjects.phone.as_str(), limits.messages_per_phone, day),
            (Bucket::MessagesAddress, &subjects.address, limits.messages_per_address, hour),
            (Bucket::MessagesCountry, subjects.country, limits.messages_per_country, hour),
            (Bucket::MessagesTotal, "all", limits.messages_total, hour),
        ]
        .map(|(bucket, subject, allowed, window)| Limit { bucket, subject, allowed, window })
    }

    /// Returns the limit of requests for messages from one address, which counts them whatever becomes of the message. It
    /// is generous, and is never given back: making messages fail is no way around it.
    pub fn message_requests<'a>(&self, subjects: &'a MessageSubjects) -> Limit<'a> {
        let messages = self.config.limits.messages_per_address;
        Limit {
            bucket: Bucket::MessageRequests,
            subject: &subjects.requester,
            allowed: messages.saturating_mul(REQUESTS_PER_MESSAGE).max(LEAST_REQUESTS),
            window: Duration::from_hours(1),
        }
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
