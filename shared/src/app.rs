//! What a function is made of, built once per process.

use std::{sync::Arc, time::Duration};

use aws_sdk_dynamodb::config::SharedHttpClient;

use crate::{
    aws::{self, AwsEnvironment},
    config::{Config, KeySettings},
    context::Context,
    error::{ApiError, Bucket},
    keyring::Keyring,
    password::Hasher,
    sms::Sms,
    store::{Limit, LimitReached, Store, StoreError},
};

/// The AWS services behind a function.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The table's.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The secrets'.
    pub secrets: aws_sdk_secretsmanager::Client,
}

impl Clients {
    /// All of them, over one HTTP client.
    pub fn new(environment: &AwsEnvironment, http: &SharedHttpClient) -> Self {
        Self {
            dynamodb: aws::dynamodb_client(environment, http.clone()),
            secrets: aws::secrets_manager_client(environment, http.clone()),
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
}

impl App {
    /// Puts the parts together.
    pub fn new(config: Config, clients: Clients, hasher: Arc<Hasher>, sms: Sms) -> Self {
        let Clients { dynamodb, secrets } = clients;
        let store = Store::new(dynamodb, config.table_name.clone());
        let KeySettings { secret_key_arn, signing_keys_arn, .. } = config.keys.clone();
        let keyring = Keyring::new(store.clone(), secrets.clone(), secret_key_arn, signing_keys_arn);
        Self { config, store, keyring, secrets, hasher, sms }
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
