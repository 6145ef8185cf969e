//! One-time codes: issuing, sending, counting tries, and comparing.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{
    admission,
    budgets::{MessageSubjects, Pot},
    sending, waiting,
};
use crate::{
    app::App,
    base::id::{ChallengeId, UserId},
    domain::{
        otp::{Binding, OtpCode, OtpMac, Purpose},
        password::PasswordHash,
        phone::Phone,
        proof::Factor,
        repeat::RepeatMac,
    },
    error::ApiError,
    http::context::Context,
    log::{audit, metrics::Metric},
    messages::{self, Content, Delivery, Notice},
    store::{
        self, ActivationIssue, Attempt, Bucket, Charges, CodeIssue, CodeTarget, CodeTry, Failure, Limit, LimitReached,
        NewCode, PendingCode, PendingCodes, UsedCode,
    },
    tokens::secret::{Keys, Secret},
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
    /// The identifier of its sending.
    pub challenge: ChallengeId,
    /// The outcome of its message; none if no message was sent.
    pub delivery: Option<Delivery>,
    /// The code itself, if responses expose codes (`OTP_EXPOSE`).
    pub exposed: Option<String>,
    /// The time until another code may be requested.
    pub cooldown: Duration,
}

impl IssuedCode {
    /// Returns the response to a request for a code, or 503 if the message certainly was not sent.
    pub fn on_its_way(self) -> Result<CodeSentResponse, ApiError> {
        match self.delivery {
            Some(Delivery::Refused(_) | Delivery::NotSent(_) | Delivery::Doubtful(_)) => Err(ApiError::MessageNotSent),
            Some(Delivery::Sent | Delivery::Unknown) | None => Ok(CodeSentResponse { otp: self.exposed }),
        }
    }

    /// Returns the same response, or 422 if the provider refused the phone that this field of the request named.
    pub fn on_its_way_to_field(self, pointer: &str) -> Result<CodeSentResponse, ApiError> {
        self.on_its_way_or(pointer, "cannot receive our messages")
    }

    /// Returns the same response, or 422 with this sentence if the provider refused the phone of the account.
    pub fn on_its_way_or(self, pointer: &str, refused: &str) -> Result<CodeSentResponse, ApiError> {
        match self.delivery {
            Some(Delivery::Refused(_)) => Err(ApiError::invalid_field(pointer, &refused)),
            _ => self.on_its_way(),
        }
    }
}

/// The item that a code is stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// The one of the phone and the purpose, which always takes another code.
    OfPhone,
    /// A new challenge.
    NewChallenge,
    /// A challenge that waits.
    Challenge,
}

/// How often a code is issued anew when another request changes the codes of the phone at the same moment.
pub(super) const TRIES: usize = 3;

/// The part of a floor that is left for taking back a code whose provider did not answer, if the floor is four times as
/// long: time for a transaction and one more try.
const TIME_TO_TAKE_BACK: Duration = Duration::from_millis(100);

/// Issues a code under the cooldown and the budgets, and sends it if the target is an account.
///
/// For a phone without an account everything is the same except that no message is sent: the code is bound to nobody,
/// so it is never right. With a floor, the request takes that long in both cases: it does not wait for a slower
/// provider.
pub async fn issue(
    app: &App,
    ctx: &Context,
    purpose: Purpose,
    phone: &Phone,
    target: CodeTarget,
    floor: Option<Duration>,
) -> Result<IssuedCode, ApiError> {
    let issued = issue_in(app, ctx, Item::OfPhone, (purpose, phone), target, floor).await?;
    issued.ok_or_else(|| ApiError::Internal("an item of a phone and a purpose took no other code".into()))
}

/// Refuses what [`issue`] would refuse by a limit now, and counts nothing: for a request that would use up something else
/// before. Others may use up the room meanwhile.
pub async fn require_room(
    app: &App,
    ctx: &Context,
    (purpose, phone): (Purpose, &Phone),
    user: UserId,
    target: &CodeTarget,
) -> Result<(), ApiError> {
    if let Some(cooldown) = target.cooldown(ctx.now) {
        return Err(cooldown.into());
    }
    let code = DrawnCode::draw(app, ctx, purpose, phone, Some(user), target).await?;
    let limits: Vec<_> = code.budgets().into_iter().chain(code.requests()).chain(code.tries()).collect();
    let counters = app.store.counters(&limits, ctx.now).await?;
    match counters.used_up(&limits, ctx.now)? {
        Some(reached) => Err(app.message_limit_reached(reached, ctx.now)),
        None => Ok(()),
    }
}

/// The same for a code in this item. Returns none if it is a challenge that is over.
pub(super) async fn issue_in(
    app: &App,
    ctx: &Context,
    item: Item,
    (purpose, phone): (Purpose, &Phone),
    target: CodeTarget,
    floor: Option<Duration>,
) -> Result<Option<IssuedCode>, ApiError> {
    let user = target.account.map(|account| account.user);
    if let Some(user) = user {
        ctx.audit.user(user);
    }
    let code = DrawnCode::draw(app, ctx, purpose, phone, user, &target).await?;
    let answer_at = floor.map(|floor| Instant::now() + floor);
    let may_be_sent = app.check_recipient(phone).is_ok();
    let issued = match code.issue(item, target, user.is_some() && may_be_sent).await? {
        Some(true) => Some(code.send(&code.budgets(), answer_at).await),
        Some(false) => Some(code.keep()),
        None => None,
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
    pot: Pot,
    /// The subject of the limit of tries, if the purpose has one.
    tries: Option<String>,
    /// The subject of the limit of codes that may be guessed, if the purpose has one.
    codes: Option<String>,
}

impl<'a> DrawnCode<'a> {
    /// Draws a code for this user. Without a user, the code is bound to nobody and never right.
    pub(crate) async fn draw(
        app: &'a App,
        ctx: &'a Context,
        purpose: Purpose,
        phone: &'a Phone,
        user: Option<UserId>,
        target: &CodeTarget,
    ) -> Result<Self, ApiError> {
        ctx.audit.phone(phone);
        let secret = app.keyring.secret(ctx.now).await?;
        let test_code = app.test_code(phone).cloned();
        let is_test = test_code.is_some();
        let code = test_code.map_or_else(OtpCode::generate, Ok)?;
        let challenge = ChallengeId::generate()?;
        let pot = Pot::of(purpose, target);
        let purpose = match (purpose, pot) {
            (Purpose::Reset, Pot::KnownDevice(_)) => Purpose::ResetBy(challenge),
            _ => purpose,
        };
        let mac = OtpMac::new(&secret.writing.otp, Binding { purpose, phone, user, challenge }, &code);
        let subjects = MessageSubjects::new(&secret, phone, ctx, purpose, user);
        // The fixed code of a test number is known, so a limit against guessing would protect nothing.
        let subject = || store::tries_subject(purpose, &audit::pseudonym(&secret.counting.audit, phone));
        let tries = (purpose.is_counted_apart() && !is_test).then(subject);
        let codes = (!purpose.is_counted_apart() && !is_test).then(|| match pot {
            Pot::KnownDevice(_) => subjects.devices.clone(),
            Pot::Verified | Pot::New { .. } => subject(),
        });
        Ok(Self { app, ctx, purpose, phone, code, is_test, challenge, mac, subjects, pot, tries, codes })
    }

    /// Whether the response must be the same whatever becomes of the message, since it would reveal who has an account.
    /// Where responses expose codes, nothing is hidden, and a code that works is worth more than a response that tells
    /// nothing.
    fn is_hidden(&self) -> bool {
        self.purpose.is_hidden() && !self.app.config.otp.expose
    }

    /// Returns the code in the form that the table stores.
    pub(crate) fn new_code(&self, is_sent: bool) -> NewCode<'_> {
        let settings = self.app.config.otp;
        NewCode {
            purpose: self.purpose,
            phone: self.phone,
            challenge: self.challenge,
            mac: &self.mac,
            now: self.ctx.now,
            ttl: settings.ttl,
            cooldown: self.cooldown(),
            max_attempts: settings.max_attempts,
            device: self.pot.device(),
            is_sent,
        }
    }

    /// Returns the time until another code may be requested: none for a test number, whose code never changes and is sent
    /// to nobody.
    fn cooldown(&self) -> Duration {
        if self.is_test { Duration::ZERO } else { self.app.config.otp.resend_cooldown }
    }

    /// Returns the budgets that the message is charged to.
    pub(crate) fn budgets(&self) -> Vec<Limit<'_>> {
        if self.is_test { Vec::new() } else { self.app.message_budgets(&self.subjects, self.pot) }
    }

    /// Returns the limit of codes that may be guessed by their challenges, if the purpose has one.
    fn guessable(&self) -> Option<Limit<'_>> {
        let max_attempts = self.app.config.otp.max_attempts;
        self.codes.as_deref().map(|subject| store::codes_of_phone(subject, max_attempts))
    }

    /// Returns the limit of tries at the phone's codes, if the purpose has one: a code that would be refused is not paid for.
    pub(crate) fn tries(&self) -> Option<Limit<'_>> {
        self.tries.as_deref().map(store::tries_of_phone)
    }

    /// Returns what the request counts for its address without being refused by it, where the response hides what became
    /// of the message.
    fn counted(&self, is_withheld: bool) -> Vec<Limit<'_>> {
        let is_counted = self.purpose.is_hidden() && !self.is_test && (is_withheld || self.pot.is_reserve());
        if is_counted { self.app.counted_for_address(&self.subjects) } else { Vec::new() }
    }

    /// Returns the limit of requests for messages, which counts this one unless its message fails by no fault of the caller's.
    pub(crate) fn requests(&self) -> Option<Limit<'_>> {
        (!self.is_test).then(|| self.app.message_requests(&self.subjects, self.pot))
    }

    /// Stores the code. Returns whether it is to be sent: as `is_sent` says, unless a budget is used up that the response
    /// must not reveal. Returns none if the item takes no other code.
    async fn issue(&self, item: Item, mut target: CodeTarget, is_sent: bool) -> Result<Option<bool>, ApiError> {
        let Self { app, ctx, purpose, phone, .. } = self;
        let mut is_withheld = false;
        let mut is_address_full = false;
        for _ in 0..TRIES {
            let is_sent = is_sent && !is_withheld;
            let budgets = if is_withheld { Vec::new() } else { self.budgets() };
            let guessable = self.guessable().filter(|_| !is_withheld);
            let requests = self.requests().filter(|_| !is_withheld);
            let counted = self.counted(is_withheld).into_iter();
            // A code without a message adds no member, so it need not ask whether there is room for one.
            let counted = counted.filter(|limit| limit.member.is_none() || (is_sent && !is_address_full));
            let limits = budgets.into_iter().chain(requests).chain(guessable).chain(counted).chain(self.tries());
            let limits: Vec<_> = limits.collect();
            let issued = match self.store(item, &target, is_sent, &limits).await? {
                ActivationIssue::Code(issued) => issued,
                ActivationIssue::NotWaiting => return Ok(None),
            };
            match issued {
                CodeIssue::Issued => return Ok(Some(is_sent)),
                // The reserve is not bounded by these; they are only counted.
                CodeIssue::LimitReached(LimitReached {
                    bucket: Bucket::AddressPhones | Bucket::AddressCountries,
                    ..
                }) if self.pot.is_reserve() => is_address_full = true,
                CodeIssue::LimitReached(reached)
                    if self.is_hidden() && reached.bucket.is_of_messages() && !is_withheld =>
                {
                    let (bucket, country) = (reached.bucket.as_str(), phone.country_code());
                    tracing::info!(target: "latchkey::events", event = "message-withheld", bucket, country, "a budget is used up; the response does not tell");
                    app.count_if_shared(reached.bucket, ctx.now);
                    if is_sent {
                        app.metrics.count(Metric::MessagesWithheld, bucket, ctx.now);
                    }
                    is_withheld = true;
                }
                CodeIssue::LimitReached(reached) => return Err(app.message_limit_reached(reached, ctx.now)),
                CodeIssue::Overtaken => {
                    let again = app.store.code_target_on(target.known_device, phone, *purpose, ctx.now).await?;
                    target = again.for_account(target.account);
                }
            }
        }
        Err(ApiError::TemporarilyUnavailable("other codes of the phone were issued or used at the same moment".into()))
    }

    async fn store(
        &self,
        item: Item,
        target: &CodeTarget,
        is_sent: bool,
        limits: &[Limit<'_>],
    ) -> Result<ActivationIssue, ApiError> {
        let (app, code) = (self.app, self.new_code(is_sent));
        if let Purpose::ResetBy(_) = self.purpose {
            return Ok(app.store.issue_reset_by_challenge(code, target, limits).await?);
        }
        if item == Item::OfPhone {
            return Ok(ActivationIssue::Code(app.store.issue_code(code, target, limits).await?));
        }
        let is_first = item == Item::NewChallenge;
        Ok(app.store.issue_sign_in(code, target, is_first, limits).await?)
    }

    /// Sends the code, and waits for the provider until `answer_at` at the latest. `charged` is given back if the message
    /// was not sent.
    pub(crate) async fn send(&self, charged: &[Limit<'_>], answer_at: Option<Instant>) -> IssuedCode {
        let content = Content::Code { purpose: self.purpose, code: self.code.clone() };
        let issued = self.deliver(content, charged, answer_at).await;
        if let Some(delivery) = &issued.delivery {
            let count = |metric| self.app.metrics.count(metric, self.phone.country_code(), self.ctx.now);
            count(if delivery.may_arrive() { Metric::CodesSent } else { Metric::CodesNotSent });
            if let Delivery::Unknown = delivery {
                count(Metric::CodesUnknown);
            }
        }
        issued
    }

    /// Sends a notice instead of the code, which then reaches nobody. A failure has the same consequences as that of a
    /// code.
    pub(crate) async fn send_instead(&self, notice: Notice, charged: &[Limit<'_>]) -> IssuedCode {
        let issued = self.deliver(Content::Notice(notice), charged, None).await;
        if issued.delivery.as_ref().is_some_and(Delivery::may_arrive) {
            self.app.metrics.count(Metric::NoticesSent, self.phone.country_code(), self.ctx.now);
        }
        issued
    }

    /// Returns the issued code without sending a message.
    pub(crate) fn keep(&self) -> IssuedCode {
        self.issued(None)
    }

    /// Hands a message to the provider, unless the phone is a test number. Takes the code back if the message was not
    /// sent.
    async fn deliver(&self, content: Content, charged: &[Limit<'_>], answer_at: Option<Instant>) -> IssuedCode {
        if self.is_test {
            return self.issued(None);
        }
        let delivery = async {
            let deadline = answer_at.map_or(messages::DEADLINE, |at| {
                let time = at.saturating_duration_since(Instant::now());
                time.saturating_sub(TIME_TO_TAKE_BACK.min(time / 4))
            });
            let delivery =
                sending::send(self.app, (self.ctx.now, self.ctx.language), self.phone, content, deadline).await;
            let (requests, guessable) = (self.requests(), self.guessable());
            let own = |limit: &&Limit<'_>| limit.bucket.is_of_messages_to_one();
            let (failure, charged, also, forgiven) = match delivery {
                Delivery::Sent => return delivery,
                // Whoever names a number that is refused may do so as often as the limit of requests says.
                Delivery::Refused(_) => (Failure::Certain, charged, [None, guessable], Vec::new()),
                Delivery::NotSent(_) => (Failure::Certain, charged, [requests, guessable], Vec::new()),
                // It may have arrived, and its code may be guessed. So these two forgive only as many as they allow.
                Delivery::Doubtful(_) => {
                    (Failure::Doubtful, charged, [None, None], requests.into_iter().chain(guessable).collect())
                }
                // It may be paid for as well. But whoever asks again in an outage must not lose the day.
                Delivery::Unknown => {
                    let forgiven = requests.into_iter().chain(charged.iter().filter(own).copied()).collect();
                    (Failure::Unknown, &[][..], [None, None], forgiven)
                }
            };
            let charged: Vec<_> = charged.iter().copied().chain(also.into_iter().flatten()).collect();
            let costs = Charges { charged: &charged, forgiven: &forgiven };
            // An early end of the cooldown would reveal that there was a message.
            let is_free = !self.is_hidden() && failure != Failure::Unknown;
            // What stays charged, or counts as sent, expires. An error here would reveal that a code was made.
            if let Err(error) = self.app.store.take_back_code(self.new_code(true), failure, is_free, costs).await {
                tracing::warn!(%error, "a code that was not sent could not be taken back");
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
        IssuedCode { challenge: self.challenge, delivery, exposed, cooldown: self.cooldown() }
    }
}

/// Counts a try of a code, and only then compares it.
///
/// An address over its limit uses up none of the code's tries. The response does not reveal whether a code was wrong,
/// expired, used or unknown. Only the request that used a code is recognized when it is repeated
/// (docs/adr/0029-a-lost-confirmation.md).
pub async fn compare(
    app: &App,
    ctx: &Context,
    purpose: Purpose,
    phone: &Phone,
    typed: &OtpCode,
) -> Result<Compared, ApiError> {
    ctx.audit.phone(phone);
    let secret = app.keyring.secret(ctx.now).await?;
    let guess = RepeatMac::of_code(&secret.counting.otp.key, purpose, phone, typed);
    let pending = match admit(app, ctx, &secret, purpose, phone, &guess).await? {
        CodeTry::Open(pending) => pending,
        CodeTry::UnderWay(pending) => {
            let keys = keys_of(app, ctx, &pending).await?;
            entered(&keys, purpose, phone, pending, typed, app.counted_in(phone)).ok_or(ApiError::InvalidOtp)?;
            return Box::pin(outcome_of_other(app, ctx, purpose, phone, &guess)).await;
        }
        CodeTry::Used(used) => return Ok(Compared::Repeated(used)),
    };
    let keys = keys_of(app, ctx, &pending).await?;
    let user = pending.account.map(|account| account.user);
    if let Some(user) = user {
        ctx.audit.user(user);
    }
    ctx.audit.factor(Factor::Otp);
    entered(&keys, purpose, phone, pending, typed, app.counted_in(phone))
        .map(Compared::Right)
        .ok_or(ApiError::InvalidOtp)
}

/// A code that was compared and is right.
#[derive(Clone, Debug)]
pub enum Compared {
    /// The code is open. The caller of the comparison uses it up.
    Right(PendingCode),
    /// The same code was used. If the account is what that use has made of it, the response of that request was lost.
    Repeated(UsedCode),
}

/// Returns the keys that codes were hashed with, without those that have leaked. If they cannot be read, takes the try
/// back.
async fn keys_of(app: &App, ctx: &Context, pending: &PendingCodes) -> Result<Vec<Arc<Keys>>, ApiError> {
    let keys = app.keyring.reading_all(pending.codes.iter().map(|(_, mac)| mac.kid()), ctx.now).await;
    admission::or_take_back(app, &pending.receipt, keys).await
}

impl App {
    /// Returns the country that a code of this phone is counted for when it is used up; none for a test number.
    fn counted_in(&self, phone: &Phone) -> Option<&'static str> {
        self.test_code(phone).is_none().then(|| phone.country_code())
    }
}

/// Returns the code that was typed, if it is among these.
fn entered(
    keys: &[Arc<Keys>],
    purpose: Purpose,
    phone: &Phone,
    pending: PendingCodes,
    typed: &OtpCode,
    counted_in: Option<&'static str>,
) -> Option<PendingCode> {
    let user = pending.account.map(|account| account.user);
    let entered = pending.codes.iter().map(|(challenge, mac)| {
        let binding = Binding { purpose, phone, user, challenge: *challenge };
        keys.iter().any(|keys| mac.matches(&keys.otp, binding, typed)).then_some(*challenge)
    });
    // Every code is compared, so that the time does not reveal which of them is right. One whose key has leaked is not.
    let entered = entered.fold(None, Option::or);
    pending.entered(entered?, counted_in)
}

/// Waits for the outcome of the request that tried the same right code when it still had tries. This one changes
/// nothing: a code without tries opens nothing.
async fn outcome_of_other(
    app: &App,
    ctx: &Context,
    purpose: Purpose,
    phone: &Phone,
    guess: &RepeatMac,
) -> Result<Compared, ApiError> {
    for _ in 0..waiting::ASKED {
        waiting::pause().await?;
        match app.store.spend_code_attempt(phone, purpose, guess, ctx.now).await? {
            Attempt::Admitted { with: CodeTry::Used(used), .. } => return Ok(Compared::Repeated(used)),
            Attempt::Admitted { with: CodeTry::UnderWay(_), .. } => {}
            _ => break,
        }
    }
    Err(ApiError::InvalidOtp)
}

/// Waits for the use of a code by the same request, which has used up the second factor a moment ago. None if it does not
/// use the code.
pub async fn use_by_other(
    app: &App,
    ctx: &Context,
    (phone, purpose): (&Phone, Purpose),
    code: &PendingCode,
) -> Result<Option<UsedCode>, ApiError> {
    for _ in 0..waiting::ASKED {
        waiting::pause().await?;
        if let Some(used) = app.store.used_meanwhile(phone, purpose, code, ctx.now).await? {
            return Ok(Some(used));
        }
    }
    Ok(None)
}

/// Returns the hash of a code that was typed, by which the request that used it is recognized.
pub async fn guess(
    app: &App,
    ctx: &Context,
    purpose: Purpose,
    phone: &Phone,
    typed: &OtpCode,
) -> Result<RepeatMac, ApiError> {
    let secret = app.keyring.secret(ctx.now).await?;
    Ok(RepeatMac::of_code(&secret.counting.otp.key, purpose, phone, typed))
}

/// Returns the hash of what a code makes of its account, by which a repeated request is told that it is done.
pub async fn effect(
    app: &App,
    ctx: &Context,
    user: UserId,
    epoch: u64,
    password: Option<&PasswordHash>,
) -> Result<RepeatMac, ApiError> {
    let secret = app.keyring.secret(ctx.now).await?;
    Ok(RepeatMac::of_effect(&secret.counting.otp.key, user, epoch, password))
}

/// Counts a try at the codes of this purpose and, where their item may end with something else than a right code, for the
/// phone as well.
async fn admit(
    app: &App,
    ctx: &Context,
    secret: &Secret,
    purpose: Purpose,
    phone: &Phone,
    guess: &RepeatMac,
) -> Result<CodeTry, ApiError> {
    let attempt = app.store.spend_code_attempt(phone, purpose, guess, ctx.now);
    let admitted = admission::admit(app, ctx, attempt);
    // The fixed code of a test number is known, so a limit against guessing would protect nothing.
    if !purpose.is_counted_apart() || app.test_code(phone).is_some() {
        return admitted.await?.ok_or(ApiError::InvalidOtp);
    }
    let found = admitted.await?.ok_or(ApiError::InvalidOtp)?;
    if let CodeTry::Open(_) = found {
        let pseudonym = audit::pseudonym(&secret.counting.audit, phone);
        app.store.charge_try(purpose, &pseudonym, ctx.now).await??;
    }
    Ok(found)
}

/// Counts a right code that has served its purpose. The codes of test numbers are not counted, because they were not
/// sent.
pub fn count_verified(app: &App, ctx: &Context, phone: &Phone) {
    if app.test_code(phone).is_some() {
        return;
    }
    app.metrics.count(Metric::CodesVerified, phone.country_code(), ctx.now);
}
