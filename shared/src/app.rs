//! What a function is made of, built once per process.

use std::{sync::Arc, time::Duration};

use crate::{
    config::Config,
    context::Context,
    error::{ApiError, Bucket},
    keys::{Secret, SigningKey},
    password::Hasher,
    sms::Sms,
    store::{Limit, LimitReached, Store, StoreError},
};

/// The parts that handlers work with.
#[derive(Debug)]
pub struct App {
    /// What the environment says.
    pub config: Config,
    /// The table.
    pub store: Store,
    /// Password hashing.
    pub hasher: Arc<Hasher>,
    /// Text messages.
    pub sms: Sms,
}

impl App {
    /// Puts the parts together.
    pub fn new(config: Config, dynamodb: aws_sdk_dynamodb::Client, hasher: Arc<Hasher>, sms: Sms) -> Self {
        let store = Store::new(dynamodb, config.table_name.clone());
        Self { config, store, hasher, sms }
    }

    /// The keys derived from `SECRET_KEY`, for the functions that are given it.
    pub fn secret(&self) -> Result<&Secret, ApiError> {
        self.config.secret.as_ref().ok_or_else(|| ApiError::not_configured("SECRET_KEY"))
    }

    /// The key of access tokens, for the functions that are given it.
    pub fn signing_key(&self) -> Result<&SigningKey, ApiError> {
        self.config.signing_key.as_ref().ok_or_else(|| ApiError::not_configured("SIGNING_KEY"))
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
}
