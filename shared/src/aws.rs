//! AWS clients as a Lambda function needs them: configured by hand from the variables that Lambda sets, TLS by rustls on
//! *ring*, and trust in Amazon's own roots only. The SDK's defaults cost a cold start a hundred times the instructions.

use std::{collections::HashMap, time::Duration};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_dynamodb::{
    config::{BehaviorVersion, Region, SharedHttpClient, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_types::SdkConfig;

use crate::base::fault::Source;

/// The roots that AWS endpoints chain to.
const AMAZON_ROOTS: &str = include_str!("../data/amazon-roots.pem");

/// Where AWS is and who we are to it.
#[derive(Clone, Debug)]
pub struct AwsEnvironment {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
    pub credentials: Credentials,
    /// `AWS_ENDPOINT_URL_DYNAMODB` or `AWS_ENDPOINT_URL`, for an emulator.
    pub dynamodb_endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER` or `AWS_ENDPOINT_URL`, for an emulator.
    pub secrets_manager_endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_SNS` or `AWS_ENDPOINT_URL`, for an emulator.
    pub sns_endpoint: Option<String>,
}

impl AwsEnvironment {
    /// Reads what Lambda sets for every function.
    pub fn from_variables(variables: &HashMap<String, String>) -> Result<Self, Source> {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
        let require = |name: &str| get(name).ok_or_else(|| format!("{name} must be set, as Lambda does"));
        let credentials = Credentials::new(
            require("AWS_ACCESS_KEY_ID")?,
            require("AWS_SECRET_ACCESS_KEY")?,
            get("AWS_SESSION_TOKEN"),
            None,
            "lambda",
        );
        Ok(Self {
            region: require("AWS_REGION")?,
            credentials,
            dynamodb_endpoint: get("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| get("AWS_ENDPOINT_URL")),
            secrets_manager_endpoint: get("AWS_ENDPOINT_URL_SECRETS_MANAGER").or_else(|| get("AWS_ENDPOINT_URL")),
            sns_endpoint: get("AWS_ENDPOINT_URL_SNS").or_else(|| get("AWS_ENDPOINT_URL")),
        })
    }
}

/// A DynamoDB client over this HTTP client.
pub fn dynamodb_client(environment: &AwsEnvironment, http: SharedHttpClient) -> aws_sdk_dynamodb::Client {
    let mut config = aws_sdk_dynamodb::config::Builder::from(&sdk_config(environment, http));
    config.set_endpoint_url(environment.dynamodb_endpoint.clone());
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// A Secrets Manager client over this HTTP client.
pub fn secrets_manager_client(environment: &AwsEnvironment, http: SharedHttpClient) -> aws_sdk_secretsmanager::Client {
    let mut config = aws_sdk_secretsmanager::config::Builder::from(&sdk_config(environment, http));
    config.set_endpoint_url(environment.secrets_manager_endpoint.clone());
    aws_sdk_secretsmanager::Client::from_conf(config.build())
}

/// An SNS client over this HTTP client. It tries once, and does not give up before the caller does: SNS cannot be told that
/// two requests are one, and only the caller knows which may be tried again.
pub fn sns_client(environment: &AwsEnvironment, http: SharedHttpClient) -> aws_sdk_sns::Client {
    let mut config = aws_sdk_sns::config::Builder::from(&sdk_config(environment, http));
    config.set_endpoint_url(environment.sns_endpoint.clone());
    let timeout = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .disable_operation_attempt_timeout()
        .disable_operation_timeout()
        .build();
    aws_sdk_sns::Client::from_conf(config.retry_config(RetryConfig::disabled()).timeout_config(timeout).build())
}

/// What every client has.
///
/// Three tries within 3 s and 1 s each (docs/threats.md#f1): the request's own deadline is 8 s, the function's 10 s.
fn sdk_config(environment: &AwsEnvironment, http: SharedHttpClient) -> SdkConfig {
    let retry = RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(50));
    let timeout = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(1))
        .operation_timeout(Duration::from_secs(3))
        .build();
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(environment.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(environment.credentials.clone()))
        .http_client(http)
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .retry_config(retry)
        .timeout_config(timeout)
        .build()
}

/// Why a call to AWS failed, as far as it matters to us.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It cannot be reached, is throttled, or broken: worth another try later.
    #[error("the service is not available")]
    Unavailable(#[source] Source),
    /// The function's role does not allow the call.
    #[error("the function may not do this")]
    Denied(#[source] Source),
    /// A call that the service does not take: a fault of ours, or of the template.
    #[error("a call is wrong")]
    Wrong(#[source] Source),
}

impl<E> From<SdkError<E>> for CallError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E>) -> Self {
        let code = error.code().map(str::to_owned);
        let is_ours = matches!(error, SdkError::ConstructionFailure(_));
        let source: Source = Box::new(DescribedError {
            code: code.clone(),
            message: error.message().map(str::to_owned),
            source: error.into(),
        });
        match code.as_deref() {
            Some("AccessDeniedException") => Self::Denied(source),
            Some("ValidationException" | "ResourceNotFoundException" | "IdempotentParameterMismatchException") => {
                Self::Wrong(source)
            }
            _ if is_ours => Self::Wrong(source),
            _ => Self::Unavailable(source),
        }
    }
}

/// The SDK's errors say "service error" and keep the rest in their sources; a log line should say which.
#[derive(Debug, thiserror::Error)]
#[error("{} ({})", code.as_deref().unwrap_or("no error code"), message.as_deref().unwrap_or("no message"))]
struct DescribedError {
    code: Option<String>,
    message: Option<String>,
    source: Source,
}

/// The HTTP clients of the functions. They speak plain HTTP only to an endpoint that is configured so.
#[derive(Clone, Debug)]
pub struct HttpsClients {
    /// Keeps connections.
    pub keeping: SharedHttpClient,
    /// Keeps none. One that was kept while the sandbox slept may be dead: the SDK then tries again, but of what must not be
    /// done twice nobody knows whether it was done.
    pub fresh: SharedHttpClient,
}

impl HttpsClients {
    /// Both, with trust in Amazon's roots.
    pub fn new() -> Result<Self, Source> {
        let trust = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS.as_bytes());
        let tls = TlsContext::builder().with_trust_store(trust).build()?;
        let builder = || Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone());
        Ok(Self { keeping: builder().build_https(), fresh: builder().pool_max_idle_per_host(0).build_https() })
    }

    /// One for both, of which nothing else is asked.
    pub fn one(http: SharedHttpClient) -> Self {
        Self { keeping: http.clone(), fresh: http }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazons_roots_are_read() {
        assert_eq!(AMAZON_ROOTS.matches("BEGIN CERTIFICATE").count(), 5);
        assert!(HttpsClients::new().is_ok());
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = AwsEnvironment::from_variables(&HashMap::new()).unwrap_err().to_string();
        assert!(error.contains("AWS_ACCESS_KEY_ID"), "{error}");
    }
}
