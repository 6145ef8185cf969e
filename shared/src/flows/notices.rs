//! Messages that tell owners of something that they did not ask for.

use std::time::Duration;

use super::{budgets::MessageSubjects, sending};
use crate::{
    app::App,
    domain::phone::Phone,
    http::context::Context,
    log::metrics::Metric,
    messages::{Content, Notice},
    store::{Limit, Profile, StoreError},
};

/// How long a request waits until an owner is told of it: what it changed is changed, and there may be two things to tell
/// before its own deadline (8 s).
const NOTICE_DEADLINE: Duration = Duration::from_secs(2);

impl App {
    /// Tells the owner of a phone of something that they did not ask for, if the budgets of notices allow it. Best effort:
    /// what was done is done, whether or not they can be told.
    pub async fn notify(&self, ctx: &Context, phone: &Phone, notice: Notice) {
        let told = async {
            if self.may_notify(ctx, phone).await {
                self.send_notice(ctx, phone, notice).await;
            }
        };
        if tokio::time::timeout(NOTICE_DEADLINE, told).await.is_err() {
            tracing::warn!(target: "latchkey::events", event = "notice-unknown", "nobody knows whether a notice was sent");
        }
    }

    /// Makes a change, and tells the owner of the account's phone when this came of it: unless nobody has shown that it is
    /// theirs, for then it may be a stranger's.
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

    async fn may_notify(&self, ctx: &Context, phone: &Phone) -> bool {
        if self.test_code(phone).is_some() {
            return false;
        }
        let subjects = MessageSubjects::new(phone, ctx);
        // Of phone and address other budgets than those of codes: whoever uses those up must not keep an owner from being told.
        let [phone, address] = [&subjects.phone, &subjects.address].map(|subject| format!("notice:{subject}"));
        let [of_phone, of_address, of_country, of_all] = self.message_budgets(&subjects);
        let budgets =
            [Limit { subject: &phone, ..of_phone }, Limit { subject: &address, ..of_address }, of_country, of_all];
        match self.store.charge_all(&budgets, ctx.now).await {
            Ok(Ok(())) => true,
            Ok(Err(reached)) => {
                let bucket = reached.bucket.as_str();
                tracing::warn!(target: "latchkey::events", event = "notice-not-sent", bucket, "no message is left for a notice");
                self.count_if_shared(reached.bucket, ctx.now);
                false
            }
            Err(error) => {
                tracing::warn!(%error, "a notice is not sent");
                false
            }
        }
    }

    async fn send_notice(&self, ctx: &Context, phone: &Phone, notice: Notice) {
        if sending::send(self, ctx, phone, Content::Notice(notice)).await.may_arrive() {
            self.metrics.count(Metric::NoticesSent, &phone.country_code(), ctx.now);
        }
    }
}
