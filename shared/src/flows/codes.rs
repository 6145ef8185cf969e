//! One-time codes: issuing, sending, counting tries, and comparing.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{admission, budgets::MessageSubjects, sending};
use crate::{
    app::App,
    base::id::{ChallengeId, UserId},
    domain::{
        otp::{Binding, OtpCode, OtpMac, Purpose},
        phone::Phone,
        proof::Factor,
    },
    error::ApiError,
    http::context::Context,
    log::{audit, metrics::Metric},
    messages::{Content, Delivery, Notice},
    store::{CodeIssue, CodeTarget, Limit, NewCode, PendingCode},
};

/// The response to a request for a code.
#[derive(Serialize, ToSchema)]
pub struct CodeSentResponse {
    /// The code, for development: present only with `OTP_EXPOSE`. For a phone without an account, the code is never
    /// right.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "042424")]
    pub otp: Option<String>,
}

/// A code that was issued, and the outcome of its message.
#[derive(Debug)]
pub struct IssuedCode {
    /// The outcome of its message; none if no message was sent.
    pub delivery: Option<Delivery>,
    /// The code itself, if responses expose codes (`OTP_EXPOSE`).
    pub exposed: Option<String>,
}

impl IssuedCode {
    /// Returns the response to a request for a code, or 503 if the message certainly was not sent.
    pub fn on_its_way(self) -> Result<CodeSentResponse, ApiError> {
        match self.delivery {
            Some(Delivery::Refused(_) | Delivery::NotSent(_)) => {
                Err(ApiError::TemporarilyUnavailable("the message was not sent".into()))
            }
            Some(Delivery::Sent | Delivery::Unknown) | None => Ok(CodeSentResponse { otp: self.exposed }),
        }
    }

    /// Returns the same response, or 422 if the provider refused the phone that this field of the request named.
    pub fn on_its_way_to_field(self, pointer: &str) -> Result<CodeSentResponse, ApiError> {
        match self.delivery {
            Some(Delivery::Refused(_)) => Err(ApiError::invalid_field(pointer, &"cannot receive our messages")),
            _ => self.on_its_way(),
        }
    }
}

/// Issues a code under the cooldown and the budgets, and sends it if the target is an account.
///
/// For a phone without an account everything is the same except that no message is sent: the code is bound to nobody,
/// so it is never right. With a floor, the request ends that long after the code was stored, in both cases: it does not
/// wait for a slower provider.
pub async fn issue(
    app: &App,
    ctx: &Context,
    purpose: Purpose,
    phone: &Phone,
    target: CodeTarget,
    floor: Option<Duration>,
) -> Result<IssuedCode, ApiError> {
    let user = target.account.map(|account| account.user);
    if let Some(user) = user {
        ctx.audit.user(user);
    }
    let code = DrawnCode::draw(app, ctx, purpose, phone, user).await?;
    match app.store.issue_code(code.new_code(), target, &code.budgets()).await? {
        CodeIssue::Issued => {}
        CodeIssue::LimitReached(reached) => return Err(app.message_limit_reached(reached, ctx.now)),
    }
    let answer_at = floor.map(|floor| Instant::now() + floor);
    let issued = match user {
        Some(_) => code.send(answer_at).await,
        None => code.keep(),
    };
    if let Some(at) = answer_at {
        #[expect(clippy::disallowed_methods, reason = "this wait makes response times equal; no rule depends on it")]
        tokio::time::sleep_until(at).await;
    }
    Ok(issued)
}

/// A code that was drawn, but is neither stored nor sent yet.
pub(crate) struct DrawnCode<'a> {
    app: &'a App,
    ctx: &'a Context,
    purpose: Purpose,
    phone: &'a Phone,
    code: OtpCode,
    /// Whether the phone is a test number, which receives no message and uses up no budget.
    is_test: bool,
    challenge: ChallengeId,
    mac: OtpMac,
    subjects: MessageSubjects,
}

impl<'a> DrawnCode<'a> {
    /// Draws a code for this user. Without a user, the code is bound to nobody and never right.
    pub(crate) async fn draw(
        app: &'a App,
        ctx: &'a Context,
        purpose: Purpose,
        phone: &'a Phone,
        user: Option<UserId>,
    ) -> Result<Self, ApiError> {
        ctx.audit.phone(phone);
        let secret = app.keyring.secret(ctx.now).await?;
        let test_code = app.test_code(phone).cloned();
        let is_test = test_code.is_some();
        let code = test_code.map_or_else(OtpCode::generate, Ok)?;
        let challenge = ChallengeId::generate()?;
        let mac = OtpMac::new(&secret.otp, Binding { purpose, phone, user, challenge }, &code);
        let subjects = MessageSubjects::new(&secret, phone, ctx);
        Ok(Self { app, ctx, purpose, phone, code, is_test, challenge, mac, subjects })
    }

    /// Returns the code in the form that the table stores.
    pub(crate) fn new_code(&self) -> NewCode<'_> {
        let settings = self.app.config.otp;
        NewCode {
            purpose: self.purpose,
            phone: self.phone,
            challenge: self.challenge,
            mac: &self.mac,
            now: self.ctx.now,
            ttl: settings.ttl,
            cooldown: settings.resend_cooldown,
        }
    }

    /// Returns the budgets that the message is charged to.
    pub(crate) fn budgets(&self) -> Vec<Limit<'_>> {
        if self.is_test { Vec::new() } else { self.app.message_budgets(&self.subjects).to_vec() }
    }

    /// Sends the code, and waits for the provider until `answer_at` at the latest.
    pub(crate) async fn send(self, answer_at: Option<Instant>) -> IssuedCode {
        let content = Content::Code { purpose: self.purpose, code: self.code.clone() };
        let issued = self.deliver(content, answer_at).await;
        if let Some(delivery) = &issued.delivery {
            let count = |metric| self.app.metrics.count(metric, &self.phone.country_code(), self.ctx.now);
            count(if delivery.may_arrive() { Metric::CodesSent } else { Metric::CodesNotSent });
            if let Delivery::Unknown = delivery {
                count(Metric::CodesUnknown);
            }
        }
        issued
    }

    /// Sends a notice instead of the code, which then reaches nobody. A failure has the same consequences as that of a
    /// code.
    pub(crate) async fn send_instead(self, notice: Notice) -> IssuedCode {
        let issued = self.deliver(Content::Notice(notice), None).await;
        if issued.delivery.as_ref().is_some_and(Delivery::may_arrive) {
            self.app.metrics.count(Metric::NoticesSent, &self.phone.country_code(), self.ctx.now);
        }
        issued
    }

    /// Returns the issued code without sending a message.
    pub(crate) fn keep(self) -> IssuedCode {
        self.issued(None)
    }

    /// Hands a message to the provider, unless the phone is a test number. Withdraws the code if the message certainly
    /// was not sent.
    async fn deliver(&self, content: Content, answer_at: Option<Instant>) -> IssuedCode {
        if self.is_test {
            return self.issued(None);
        }
        let delivery = async {
            let delivery = sending::send(self.app, self.ctx, self.phone, content).await;
            if !delivery.may_arrive() {
                let Self { phone, purpose, challenge, ctx, .. } = self;
                // Nobody knows a code that stays, and it expires. An error here would reveal that a code was made.
                if let Err(error) = self.app.store.withdraw_code(phone, *purpose, *challenge, ctx.now).await {
                    tracing::warn!(%error, "a code that was not sent could not be withdrawn and stays until it expires");
                }
            }
            delivery
        };
        let delivery = match answer_at {
            None => delivery.await,
            // A message that took this long may have been sent.
            Some(at) => tokio::time::timeout_at(at, delivery).await.unwrap_or_else(|_| {
                let purpose = self.purpose.as_str();
                tracing::warn!(target: "latchkey::events", event = "message-unknown", purpose, "the provider is slower than SMS_FLOOR_MS");
                Delivery::Unknown
            }),
        };
        self.issued(Some(delivery))
    }

    fn issued(&self, delivery: Option<Delivery>) -> IssuedCode {
        let exposed = self.app.config.otp.expose.then(|| self.code.reveal().to_owned());
        IssuedCode { delivery, exposed }
    }
}

/// Counts a try of a code, and only then compares it.
///
/// An address over its limit uses up none of the code's tries. The response does not reveal whether a code was wrong,
/// expired, used or unknown.
pub async fn compare(
    app: &App,
    ctx: &Context,
    purpose: Purpose,
    phone: &Phone,
    typed: &OtpCode,
) -> Result<PendingCode, ApiError> {
    ctx.audit.phone(phone);
    let secret = app.keyring.secret(ctx.now).await?;
    let max_attempts = app.config.otp.max_attempts;
    let attempt = app.store.spend_code_attempt(phone, purpose, max_attempts, ctx.now);
    let pending = admission::admit(app, ctx, attempt).await?.ok_or(ApiError::InvalidOtp)?;
    // The fixed code of a test number is known, so a limit against guessing would protect nothing.
    if let Purpose::Activation(_) = purpose
        && app.test_code(phone).is_none()
        && let Err(reached) =
            app.store.charge_activation_attempt(&audit::pseudonym(&secret.audit, phone), ctx.now).await?
    {
        return Err(reached.into());
    }
    let user = pending.account.map(|account| account.user);
    if let Some(user) = user {
        ctx.audit.user(user);
    }
    ctx.audit.factor(Factor::Otp);
    let binding = Binding { purpose, phone, user, challenge: pending.challenge };
    if pending.mac.matches(&secret.otp, binding, typed) { Ok(pending) } else { Err(ApiError::InvalidOtp) }
}

/// Counts a right code that has served its purpose. The codes of test numbers are not counted, because they were not
/// sent.
pub fn count_verified(app: &App, ctx: &Context, phone: &Phone) {
    if app.test_code(phone).is_some() {
        return;
    }
    app.metrics.count(Metric::CodesVerified, &phone.country_code(), ctx.now);
}
