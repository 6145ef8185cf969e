//! Notices: messages that owners did not ask for.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};

use super::{
    budgets::notice_subject,
    registration::{PendingRegistration, Waiting},
    sending,
};
use crate::{
    app::App,
    base::time::Timestamp,
    domain::phone::Phone,
    error::ApiError,
    http::context::Context,
    log::{audit, metrics::Metric},
    messages::{Content, Delivery, Language, Notice},
    store::{DueNotice, NewOwedNotice, Profile, StoreError},
};

/// The longest time that a request waits for a notice to be sent. Its change is already committed, and two notices must
/// fit into its own deadline (8 s).
const NOTICE_DEADLINE: Duration = Duration::from_secs(2);

/// How much of that the provider has. The rest is for giving back what was charged.
const SENDING_DEADLINE: Duration = Duration::from_millis(1500);

/// The time that a request has to keep a notice whose sending took too long.
const KEEPING_DEADLINE: Duration = Duration::from_secs(1);

/// The number of owed notices that one run sends at most, and at once: with a provider that hangs, all end within a
/// function's deadline (8 s).
const NOTICES_A_RUN: usize = 100;
const NOTICES_AT_ONCE: usize = 50;

impl App {
    /// Sends a notice to the owner of a phone, or keeps it to be sent later. The change that it tells of stays, whatever
    /// becomes of the notice.
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
            // Rather twice than never.
            let kept = self.owe(ctx, phone, notice, (ctx.now, "deadline"));
            let _ = tokio::time::timeout(KEEPING_DEADLINE, kept).await;
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
        // A parked account has no phone: the one that it had is somebody else's.
        if change == done
            && profile.phone_verified
            && let Some(phone) = profile.phone()
        {
            self.notify(ctx, phone, notice).await;
        }
        Ok(change)
    }

    /// Charges the budget of notices, sends the notice, and gives back what was charged if it certainly was not sent. A
    /// notice that cannot be sent now is kept, and `send-notices` sends it later.
    async fn charge_and_send(&self, ctx: &Context, phone: &Phone, notice: Notice) {
        match self.try_to_send(phone, notice, ctx.language, ctx.now).await {
            Ok(Tried::Settled) => {}
            Ok(Tried::Later { due_at, reason }) => self.owe(ctx, phone, notice, (due_at, reason)).await,
            Err(error) => {
                tracing::warn!(%error, "the budget of a notice could not be charged");
                self.owe(ctx, phone, notice, (ctx.now, "table")).await;
            }
        }
    }

    /// Tries once to send a notice.
    async fn try_to_send(
        &self,
        phone: &Phone,
        notice: Notice,
        language: Option<Language>,
        now: Timestamp,
    ) -> Result<Tried, ApiError> {
        let secret = self.keyring.secret(now).await?;
        // Only changes of the account charge this budget, so neither a thief's address nor any flood uses it up.
        let subject = notice_subject(&secret, phone);
        let budgets = [self.config.limits.messages_to(&subject)];
        if let Err(reached) = self.store.charge_all(&budgets, now).await? {
            return Ok(Tried::Later { due_at: now.plus(reached.retry_after), reason: reached.bucket.as_str() });
        }
        let content = Content::Notice(notice);
        let delivery = sending::send(self, (now, language), phone, content, SENDING_DEADLINE).await;
        if delivery.may_arrive() {
            self.metrics.count(Metric::NoticesSent, phone.country_code(), now);
            return Ok(Tried::Settled);
        }
        if let Err(error) = self.store.give_back_all(&budgets, now).await {
            tracing::warn!(%error, "a notice that was not sent stays charged");
        }
        // A provider that refuses the number will refuse it again.
        let is_final = matches!(delivery, Delivery::Refused(_));
        Ok(if is_final { Tried::Settled } else { Tried::Later { due_at: now, reason: "provider" } })
    }

    /// Keeps a notice that cannot be sent now.
    async fn owe(&self, ctx: &Context, phone: &Phone, notice: Notice, (due_at, reason): (Timestamp, &str)) {
        tracing::warn!(target: "latchkey::events", event = "notice-delayed", reason, about = notice.as_str(), "a notice is sent later");
        self.metrics.count(Metric::NoticesDelayed, reason, ctx.now);
        let kept = async {
            let secret = self.keyring.secret(ctx.now).await?;
            let owed = NewOwedNotice {
                recipient: &audit::pseudonym(&secret.counting.audit, phone),
                name: notice.as_str(),
                sealed_phone: &PendingRegistration::of(phone.clone(), Waiting::Notice)?
                    .seal(&secret.writing.activation)?,
                language: ctx.language.map(Language::code),
            };
            Ok::<_, ApiError>(self.store.owe_notice(owed, due_at, ctx.now).await?)
        };
        if let Err(error) = kept.await {
            tracing::error!(target: "latchkey::events", event = "notice-lost", %error, "a notice was neither sent nor kept");
        }
    }

    /// Sends the notices that are owed and due, at most a hundred of them. Returns how many were settled.
    ///
    /// Each is claimed first, so that two runs at once do not send it twice.
    pub async fn send_owed_notices(&self, now: Timestamp) -> Result<usize, ApiError> {
        let due = self.store.due_notices(NOTICES_A_RUN, now).await?;
        let settled: Vec<BoxFuture<'_, _>> = due.into_iter().map(|due| self.send_owed(due, now).boxed()).collect();
        let settled: Vec<_> = stream::iter(settled).buffer_unordered(NOTICES_AT_ONCE).collect().await;
        for error in settled.iter().filter_map(|settled| settled.as_ref().err()) {
            tracing::warn!(%error, "a notice that is owed could not be tried");
        }
        Ok(settled.iter().filter(|settled| matches!(settled, Ok(true))).count())
    }

    async fn send_owed(&self, due: DueNotice, now: Timestamp) -> Result<bool, ApiError> {
        let Some(owed) = self.store.claim_notice(&due, now).await? else { return Ok(false) };
        let sealed = PendingRegistration::opened(self, now, Waiting::Notice, &owed.sealed_phone).await?;
        let notice = Notice::ALL.into_iter().find(|notice| notice.as_str() == owed.name);
        let (Some(notice), Some(PendingRegistration { phone, .. })) = (notice, sealed) else {
            tracing::error!(target: "latchkey::events", event = "notice-lost", "a notice that was kept cannot be read");
            self.store.settle_notice(&owed).await?;
            return Ok(true);
        };
        let language = owed.language.as_deref().and_then(Language::find);
        match self.try_to_send(&phone, notice, language, now).await? {
            Tried::Settled => {}
            Tried::Later { .. } if owed.is_last => {
                tracing::error!(target: "latchkey::events", event = "notice-lost", about = notice.as_str(), "a notice could not be sent for three days");
                self.metrics.count(Metric::NoticesDelayed, "given-up", now);
            }
            Tried::Later { due_at, .. } => {
                self.store.defer_notice(&owed, due_at).await?;
                return Ok(false);
            }
        }
        self.store.settle_notice(&owed).await?;
        Ok(true)
    }
}

/// The outcome of one try to send a notice.
enum Tried {
    /// It was sent, or never can be.
    Settled,
    /// It can be sent from then on.
    Later { due_at: Timestamp, reason: &'static str },
}
