//! One-time codes as endpoints use them: issued and sent, tried and compared.

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

/// That a code is on its way.
#[derive(Serialize, ToSchema)]
pub struct CodeSentResponse {
    /// The code, for development: only with `OTP_EXPOSE`. For a phone without an account it is one that nobody takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "042424")]
    pub otp: Option<String>,
}

/// A code that was issued.
#[derive(Debug)]
pub struct IssuedCode {
    /// What came of its message; none when nothing was sent.
    pub delivery: Option<Delivery>,
    /// The code itself, when codes are in answers (`OTP_EXPOSE`).
    pub exposed: Option<String>,
}

impl IssuedCode {
    /// That it is on its way. 503 when it certainly is not.
    pub fn on_its_way(self) -> Result<CodeSentResponse, ApiError> {
        match self.delivery {
            Some(Delivery::Refused(_) | Delivery::NotSent(_)) => {
                Err(ApiError::TemporarilyUnavailable("the message was not sent".into()))
            }
            Some(Delivery::Sent | Delivery::Unknown) | None => Ok(CodeSentResponse { otp: self.exposed }),
        }
    }

    /// The same for a phone that is the request's own field: one that messages cannot be sent to is a mistake in it.
    pub fn on_its_way_to_field(self, pointer: &str) -> Result<CodeSentResponse, ApiError> {
        match self.delivery {
            Some(Delivery::Refused(_)) => Err(ApiError::invalid_field(pointer, &"cannot be sent a message")),
            _ => self.on_its_way(),
        }
    }
}

/// Issues a code under the cooldown and the budgets, and sends it when there is an account that it is for.
///
/// For a phone without an account everything is the same but the message: the code is bound to nobody and opens nothing.
/// With a floor it takes so long from when the code is stored, in either case; a provider that is slower is not waited for.
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
        #[expect(clippy::disallowed_methods, reason = "equal time is what this is for; no rule depends on it")]
        tokio::time::sleep_until(at).await;
    }
    Ok(issued)
}

/// A code that was made, and is neither stored nor sent yet.
pub(crate) struct DrawnCode<'a> {
    app: &'a App,
    ctx: &'a Context,
    purpose: Purpose,
    phone: &'a Phone,
    code: OtpCode,
    /// A test number is sent nothing, and so costs nothing.
    is_test: bool,
    challenge: ChallengeId,
    mac: OtpMac,
    subjects: MessageSubjects,
}

impl<'a> DrawnCode<'a> {
    /// A new code of this user's; of nobody's, and then it is never right.
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
        Ok(Self { app, ctx, purpose, phone, code, is_test, challenge, mac, subjects: MessageSubjects::new(phone, ctx) })
    }

    /// It, as it is to be stored.
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

    /// What its message is charged to.
    pub(crate) fn budgets(&self) -> Vec<Limit<'_>> {
        if self.is_test { Vec::new() } else { self.app.message_budgets(&self.subjects).to_vec() }
    }

    /// Sends it, and does not wait for longer than until `answer_at`.
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

    /// Sends something else in its place. It reaches nobody, and what certainly was not sent has the same consequences.
    pub(crate) async fn send_instead(self, notice: Notice) -> IssuedCode {
        let issued = self.deliver(Content::Notice(notice), None).await;
        if issued.delivery.as_ref().is_some_and(Delivery::may_arrive) {
            self.app.metrics.count(Metric::NoticesSent, &self.phone.country_code(), self.ctx.now);
        }
        issued
    }

    /// Sends nothing.
    pub(crate) fn keep(self) -> IssuedCode {
        self.issued(None)
    }

    /// Hands a message over, unless the number is a test number. What certainly was not sent is no code.
    async fn deliver(&self, content: Content, answer_at: Option<Instant>) -> IssuedCode {
        if self.is_test {
            return self.issued(None);
        }
        let delivery = async {
            let delivery = sending::send(self.app, self.ctx, self.phone, content).await;
            if !delivery.may_arrive() {
                let Self { phone, purpose, challenge, ctx, .. } = self;
                // A code that stays is known to nobody, and dies by itself. To fail for it would tell that one was made.
                if let Err(error) = self.app.store.withdraw_code(phone, *purpose, *challenge, ctx.now).await {
                    tracing::warn!(%error, "a code that was not sent is not withdrawn");
                }
            }
            delivery
        };
        let delivery = match answer_at {
            None => delivery.await,
            // What took so long may have been sent.
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
/// Whoever is over the address's limit does not use up the code's tries. Wrong, expired, used and unknown codes get one
/// answer.
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
    // A test number's one code is known to whoever has it: there is nothing to guess.
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

/// Counts a code that came back and did what it was for. A test number's was not counted when it was sent.
pub fn count_verified(app: &App, ctx: &Context, phone: &Phone) {
    if app.test_code(phone).is_some() {
        return;
    }
    app.metrics.count(Metric::CodesVerified, &phone.country_code(), ctx.now);
}
