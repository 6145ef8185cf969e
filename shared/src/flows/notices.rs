//! Notices: messages that owners did not ask for.

use std::time::Duration;

use super::{budgets::MessageSubjects, sending};
use crate::{
    app::App,
    domain::phone::Phone,
    http::context::Context,
    log::metrics::Metric,
    messages::{Content, Notice},
    store::{Profile, StoreError},
};

/// The longest time that a request waits for a notice to be sent. Its change is already committed, and two notices must
/// fit into its own deadline (8 s).
const NOTICE_DEADLINE: Duration = Duration::from_secs(2);

/// How much of that the provider has. The rest is for giving back what was charged.
const SENDING_DEADLINE: Duration = Duration::from_millis(1500);

impl App {
    /// Sends a notice to the owner of a phone, if the budgets of notices allow it. This is best effort: the change
    /// stays, even if the notice cannot be sent.
    pub async fn notify(&self, ctx: &Context, phone: &Phone, notice: Notice) {
        if self.test_code(phone).is_some() {
            return;
        }
        if let Err(why) = self.check_recipient(phone) {
            let country = phone.country_code();
            tracing::warn!(target: "latchkey::events", event = "notice-not-sent", country, %why, "a notice was not sent: its phone is not served");
            return;
        }
        let told = self.charge_and_send(ctx, phone, notice);
        if tokio::time::timeout(NOTICE_DEADLINE, told).await.is_err() {
            tracing::warn!(target: "latchkey::events", event = "notice-unknown", "it is unknown whether a notice was sent");
        }
    }

    /// Makes a change, and sends a notice to the account's phone if the result is `done`. An unverified phone gets no
    /// notice, because it may belong to a stranger.
    pub async fn notify_when<T: PartialEq>(
        &self,
        done: T,
        change: impl Future<Output = Result<T, StoreError>>,
        (ctx, profile, notice): (&Context, &Profile, Notice),
    ) -> Result<T, StoreError> {
        let change = change.await?;
        if change == done && profile.phone_verified {
            self.notify(ctx, &profile.phone, notice).await;
        }
        Ok(change)
    }

    /// Charges the budgets of notices, sends the notice, and gives back what was charged if it certainly was not sent.
    async fn charge_and_send(&self, ctx: &Context, phone: &Phone, notice: Notice) {
        let secret = match self.keyring.secret(ctx.now).await {
            Ok(secret) => secret,
            Err(error) => {
                tracing::warn!(%error, "a notice was not sent: the key of its budgets could not be read");
                return;
            }
        };
        // Notices have budgets of their own for phone and address, so that a thief cannot use them up by requesting
        // codes.
        let subjects = MessageSubjects::new(&secret, phone, ctx).of_kind("notice");
        let budgets = self.message_budgets(&subjects);
        match self.store.charge_all(&budgets, ctx.now).await {
            Ok(Ok(())) => {}
            Ok(Err(reached)) => {
                let bucket = reached.bucket.as_str();
                tracing::warn!(target: "latchkey::events", event = "notice-not-sent", bucket, "a notice was not sent: its budget is used up");
                self.count_if_shared(reached.bucket, ctx.now);
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "a notice was not sent: its budgets could not be charged");
                return;
            }
        }
        let delivery = sending::send(self, ctx, phone, Content::Notice(notice), SENDING_DEADLINE).await;
        if delivery.may_arrive() {
            self.metrics.count(Metric::NoticesSent, phone.country_code(), ctx.now);
        } else if let Err(error) = self.store.give_back_all(&budgets, ctx.now).await {
            tracing::warn!(%error, "a notice that was not sent stays charged");
        }
    }
}
