//! The parts of a function, built once per process.

use std::sync::Arc;

use crate::{
    aws::{self, AwsEnvironment, HttpsClients, OnFirstUse},
    base::{fault::Source, time::Timestamp},
    config::Config,
    domain::{
        otp::OtpCode,
        password::Hasher,
        phone::{InvalidPhone, Phone},
    },
    error::ApiError,
    keyring::Keyring,
    log::{
        audit::{Audit, Circumstances, Outcome},
        line_log::{KeptLines, LineLog},
        metrics::{Metric, Metrics},
    },
    messages::{Channel, Outbox},
    store::Store,
};

/// The clients of the AWS services that a function calls.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The client of the table.
    pub dynamodb: OnFirstUse<aws_sdk_dynamodb::Client>,
    /// The client of Secrets Manager.
    pub secrets: OnFirstUse<aws_sdk_secretsmanager::Client>,
    /// The client of text messages by SNS.
    pub sns: OnFirstUse<aws_sdk_sns::Client>,
}

impl Clients {
    /// Creates each client when it is used, over these HTTP clients.
    pub fn new(environment: &AwsEnvironment, http: HttpsClients) -> Self {
        let HttpsClients { keeping, fresh, .. } = http;
        let of_table = (environment.clone(), keeping.clone());
        let of_secrets = (environment.clone(), keeping);
        let of_sns = (environment.clone(), fresh);
        Self {
            dynamodb: OnFirstUse::new(move || aws::dynamodb_client(&of_table.0, of_table.1)),
            secrets: OnFirstUse::new(move || aws::secrets_manager_client(&of_secrets.0, of_secrets.1)),
            sns: OnFirstUse::new(move || aws::sns_client(&of_sns.0, of_sns.1)),
        }
    }
}

/// The parts that handlers work with.
#[derive(Debug)]
pub struct App {
    /// The configuration.
    pub config: Config,
    /// The table.
    pub store: Store,
    /// Secrets and keys.
    pub keyring: Keyring,
    /// The client of Secrets Manager, for the function that changes secrets.
    pub secrets: OnFirstUse<aws_sdk_secretsmanager::Client>,
    /// Password hashing.
    pub hasher: Arc<Hasher>,
    /// The channel that carries messages.
    pub channel: Channel,
    /// Counts that operators watch.
    pub metrics: Metrics,
    /// The destination of audit events.
    pub audit_log: LineLog,
}

/// What the dev server and the tests keep in memory and read, instead of letting it leave the process.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// The messages that would otherwise only be logged.
    pub outbox: Outbox,
    /// The counts.
    pub metrics: KeptLines,
    /// The audit events.
    pub audit_log: KeptLines,
}

/// Where a removed key is still listed that the other place has on its deny list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// In the secret.
    Secret,
    /// In the table.
    Table,
}

impl Disagreement {
    fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Table => "table",
        }
    }
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
        let channel = Channel::new(&config.sms, sns, outbox)?;
        let metrics =
            Metrics { namespace: config.metrics_namespace.clone(), in_detail: config.metrics_in_detail, log: counts };
        let store = Store::new(dynamodb, config.table_name.clone());
        let keyring = Keyring::new(store.clone(), secrets.clone(), &config.keys);
        Ok(Self { config, store, keyring, secrets, hasher, channel, metrics, audit_log })
    }

    /// Reports that the secret of the signing keys and the published keys contradict each other. The deny list of both
    /// is in force meanwhile.
    pub fn report_disagreement(&self, behind: Disagreement, now: Timestamp) {
        let behind = behind.as_str();
        tracing::error!(
            target: "latchkey::events", event = "signing-keys-disagree", behind,
            "the secret of the signing keys and the published keys disagree about a removed key"
        );
        self.metrics.count(Metric::KeyDisagreements, behind, now);
    }

    /// Writes an audit event.
    pub fn write_audit_event(&self, audit: &Audit, of: Circumstances<'_>, outcome: Outcome<'_>) {
        let secret = self.keyring.secret_at_hand(of.now);
        let key = secret.as_ref().map(|secret| &secret.writing.audit);
        self.audit_log.write(&audit.line(of, outcome, key));
    }

    /// Returns why this phone may neither be sent a message nor get an account. A test number is sent none.
    pub fn check_recipient(&self, phone: &Phone) -> Result<(), InvalidPhone> {
        if self.test_code(phone).is_some() { Ok(()) } else { self.config.phones.check_recipient(phone) }
    }

    /// Returns the fixed code of a test number.
    pub fn test_code(&self, phone: &Phone) -> Option<&OtpCode> {
        self.config.test_numbers.iter().find(|(number, _)| number == phone).map(|(_, code)| code)
    }

    /// Returns `iss` of access tokens: `JWT_ISSUER`, or the URL that the request was sent to. Without either, a token would
    /// name an issuer that nobody can find, so none is signed or verified.
    pub fn issuer<'a>(&'a self, url: Option<&'a str>) -> Result<&'a str, ApiError> {
        let issuer = self.config.tokens.issuer.as_deref().or(url);
        issuer.ok_or_else(|| ApiError::not_configured("JWT_ISSUER"))
    }

    /// Returns `iss` of access tokens, for a function that serves no requests of clients: `JWT_ISSUER`, or `API_URL`.
    pub fn own_issuer(&self) -> Result<&str, ApiError> {
        let tokens = &self.config.tokens;
        let issuer = tokens.issuer.as_deref().or(tokens.api_url.as_deref());
        issuer.ok_or_else(|| ApiError::not_configured("API_URL"))
    }
}
