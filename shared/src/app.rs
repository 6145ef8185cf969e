//! What a function is made of, built once per process.

use std::{sync::Arc, time::Duration};

use aws_sdk_dynamodb::config::SharedHttpClient;
use tokio::time::Instant;

use crate::{
    audit::{Audit, Circumstances, Outcome},
    aws::{self, AwsEnvironment},
    config::Config,
    context::Context,
    error::{ApiError, Bucket, Source},
    keyring::Keyring,
    line_log::{KeptLines, LineLog},
    metrics::{Metric, Metrics},
    otp::OtpCode,
    password::Hasher,
    phone::Phone,
    sms::{Delivery, Message, Outbox, Provider, Sms},
    store::{Limit, LimitReached, Store, StoreError},
    time::Timestamp,
};

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
    /// All of them, over one HTTP client.
    pub fn new(environment: &AwsEnvironment, http: &SharedHttpClient) -> Self {
        Self {
            dynamodb: aws::dynamodb_client(environment, http.clone()),
            secrets: aws::secrets_manager_client(environment, http.clone()),
            sns: aws::sns_client(environment, http.clone()),
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
                tracing::warn!(target: "shared::events", event = "sms-refused", purpose, country, why, "the provider does not send to a number");
            }
            Delivery::NotSent(why) => {
                tracing::error!(target: "shared::events", event = "sms-not-sent", purpose, country, why, "a message was not sent");
            }
            Delivery::Unknown => {
                tracing::warn!(target: "shared::events", event = "sms-unknown", purpose, country, "the provider did not answer");
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
        if let Bucket::SmsCountry | Bucket::SmsTotal = reached.bucket {
            self.metrics.count(Metric::SmsBudgetReached, reached.bucket.as_str(), now);
        }
        reached.into()
    }

    /// The one code of a number that is for testing.
    pub fn test_code(&self, phone: &Phone) -> Option<&OtpCode> {
        self.config.test_numbers.iter().find(|(number, _)| number == phone).map(|(_, code)| code)
    }

    /// Waits until as much time has passed since `started` as any provider should need: so that an answer tells nobody
    /// whether a message was sent (SECURITY 2.3). Nothing is waited for where nothing is sent.
    pub async fn wait_until_all_take_as_long(&self, started: Instant) {
        if self.config.sms.provider != Provider::Log {
            #[expect(clippy::disallowed_methods, reason = "equal time is what this is for; no rule depends on it")]
            tokio::time::sleep_until(started + self.config.sms.floor).await;
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
