//! What a function is made of, built once per process.

use std::{sync::Arc, time::Duration};

use crate::{
    audit::{Audit, Circumstances, Outcome},
    aws::{self, AwsEnvironment, HttpsClients},
    config::Config,
    context::Context,
    error::{ApiError, Bucket, Source},
    keyring::Keyring,
    line_log::{KeptLines, LineLog},
    metrics::{Metric, Metrics},
    otp::OtpCode,
    password::Hasher,
    phone::Phone,
    sms::{Delivery, Message, Notice, Outbox, Provider, Sms, SmsSettings},
    store::{Limit, LimitReached, Profile, Store, StoreError},
    time::Timestamp,
};

/// How long a request waits until an owner is told of it: what it changed is changed, and there may be two things to tell
/// before its own deadline (8 s).
const NOTICE_DEADLINE: Duration = Duration::from_secs(2);

/// The AWS services behind a function.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The table's.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The secrets'.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// That of text messages.
    pub sns: aws_sdk_sns::Client,
}

impl Clients {
    /// All of them, over these HTTP clients.
    pub fn new(environment: &AwsEnvironment, http: HttpsClients) -> Self {
        Self {
            dynamodb: aws::dynamodb_client(environment, http.keeping.clone()),
            secrets: aws::secrets_manager_client(environment, http.keeping),
            sns: aws::sns_client(environment, http.fresh),
        }
    }
}

/// The parts that handlers work with.
#[derive(Debug)]
pub struct App {
    /// What the environment says.
    pub config: Config,
    /// The table.
    pub store: Store,
    /// Secrets and keys.
    pub keyring: Keyring,
    /// Secrets Manager, for whoever changes secrets.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// Password hashing.
    pub hasher: Arc<Hasher>,
    /// Text messages.
    pub sms: Sms,
    /// Counts that operators watch.
    pub metrics: Metrics,
    /// Audit events.
    pub audit_log: LineLog,
}

/// Who is counted when a message is sent.
#[derive(Clone, Debug)]
pub struct SmsSubjects {
    phone: String,
    address: String,
    country: String,
}

impl SmsSubjects {
    /// Whom it goes to, and who asked for it.
    pub fn new(phone: &Phone, ctx: &Context) -> Self {
        Self { phone: phone.as_e164().to_owned(), address: ctx.source.subject(), country: phone.country_code() }
    }
}

/// What the dev server and the tests look at, instead of the world outside.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// Messages that would only be logged.
    pub outbox: Outbox,
    /// Counts.
    pub metrics: KeptLines,
    /// Audit events.
    pub audit_log: KeptLines,
}

impl App {
    /// Puts the parts together.
    pub fn new(
        config: Config,
        clients: Clients,
        hasher: Arc<Hasher>,
        witness: Option<Witness>,
    ) -> Result<Self, Source> {
        let Clients { dynamodb, secrets, sns } = clients;
        let (outbox, counts, audit_log) = match witness {
            Some(Witness { outbox, metrics, audit_log }) => {
                (Some(outbox), LineLog::Kept(metrics), LineLog::Kept(audit_log))
            }
            None => (None, LineLog::Stdout, LineLog::Stdout),
        };
        let sms = Sms::new(&config.sms, sns, outbox)?;
        let metrics = Metrics { namespace: config.metrics_namespace.clone(), log: counts };
        let store = Store::new(dynamodb, config.table_name.clone());
        let keyring = Keyring::new(store.clone(), secrets.clone(), &config.keys);
        Ok(Self { config, store, keyring, secrets, hasher, sms, metrics, audit_log })
    }

    /// Sends a message, and says in the log why it was not sent.
    pub async fn send(&self, message: Message) -> Delivery {
        let (purpose, country) = (message.about, message.to.country_code());
        let delivery = self.sms.send(&self.config.sms, &self.keyring, message).await;
        match &delivery {
            Delivery::Sent => {}
            Delivery::Refused(why) => {
                tracing::warn!(target: "latchkey::events", event = "sms-refused", purpose, country, why, "the provider does not send to a number");
            }
            Delivery::NotSent(why) => {
                tracing::error!(target: "latchkey::events", event = "sms-not-sent", purpose, country, why, "a message was not sent");
            }
            Delivery::Unknown => {
                tracing::warn!(target: "latchkey::events", event = "sms-unknown", purpose, country, "the provider did not answer");
            }
        }
        delivery
    }

    /// Writes an audit event.
    pub fn write_audit_event(&self, audit: &Audit, of: Circumstances<'_>, outcome: Outcome<'_>) {
        let secret = self.keyring.secret_at_hand();
        let key = secret.as_ref().map(|secret| &secret.audit);
        self.audit_log.write(&audit.line(of, outcome, key));
    }

    /// What a message to this phone is charged to, all or nothing.
    pub fn sms_budgets<'a>(&self, subjects: &'a SmsSubjects) -> [Limit<'a>; 4] {
        let limits = self.config.limits;
        let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
        [
            (Bucket::SmsPhone, subjects.phone.as_str(), limits.sms_per_phone, day),
            (Bucket::SmsAddress, &subjects.address, limits.sms_per_address, hour),
            (Bucket::SmsCountry, &subjects.country, limits.sms_per_country, hour),
            (Bucket::SmsTotal, "all", limits.sms_total, hour),
        ]
        .map(|(bucket, subject, allowed, window)| Limit { bucket, subject, allowed, window })
    }

    /// The answer when one of them is used up. The breakers, which are about many people, are counted for the alarm.
    pub fn sms_limit_reached(&self, reached: LimitReached, now: Timestamp) -> ApiError {
        self.count_if_shared(reached.bucket, now);
        reached.into()
    }

    fn count_if_shared(&self, bucket: Bucket, now: Timestamp) {
        if bucket.is_shared() {
            self.metrics.count(Metric::SmsBudgetReached, bucket.as_str(), now);
        }
    }

    /// The one code of a number that is for testing.
    pub fn test_code(&self, phone: &Phone) -> Option<&OtpCode> {
        self.config.test_numbers.iter().find(|(number, _)| number == phone).map(|(_, code)| code)
    }

    /// How long it takes from when a code is stored until it is answered, whatever becomes of its message: so that the time of
    /// the answer tells nobody whether one was sent (SECURITY 2.3). None where nothing is sent, or where that is not asked for.
    pub fn floor(&self) -> Option<Duration> {
        let SmsSettings { provider, floor, .. } = &self.config.sms;
        (*provider != Provider::Log && !floor.is_zero()).then_some(*floor)
    }

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
        let subjects = SmsSubjects::new(phone, ctx);
        // Of phone and address other budgets than those of codes: whoever uses those up must not keep an owner from being told.
        let [phone, address] = [&subjects.phone, &subjects.address].map(|subject| format!("notice:{subject}"));
        let [of_phone, of_address, of_country, of_all] = self.sms_budgets(&subjects);
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
        let message = Message::notice(&self.config.sms.text, notice, ctx.language, phone, ctx.now);
        if self.send(message).await.may_arrive() {
            self.metrics.count(Metric::NoticesSent, &phone.country_code(), ctx.now);
        }
    }

    /// Counts a try of a password or a code from the caller's address.
    pub async fn charge_sign_in_attempt(&self, ctx: &Context) -> Result<Result<(), LimitReached>, StoreError> {
        let limit = Limit {
            bucket: Bucket::LoginAddress,
            subject: &ctx.source.subject(),
            allowed: self.config.limits.login_per_address,
            window: Duration::from_mins(5),
        };
        self.store.charge(limit, ctx.now).await
    }

    /// `iss` of access tokens: as configured, or the address that the request was sent to.
    pub fn issuer<'a>(&'a self, origin: &'a str) -> &'a str {
        self.config.tokens.issuer.as_deref().unwrap_or(origin)
    }

    /// `iss` of access tokens, for a function that no request is sent to.
    pub fn own_issuer(&self) -> Result<&str, ApiError> {
        let tokens = &self.config.tokens;
        let issuer = tokens.issuer.as_deref().or(tokens.api_url.as_deref());
        issuer.ok_or_else(|| ApiError::not_configured("API_URL"))
    }
}
