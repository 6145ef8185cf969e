//! AWS clients for Lambda functions. They are configured by hand from the variables that Lambda sets, use rustls on
//! *ring* for TLS, and trust only Amazon's own roots. The SDK's defaults cost a cold start a hundred times the
//! instructions.

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

/// The root certificates that AWS endpoints chain to, in PEM.
const AMAZON_ROOTS: &str = include_str!("../data/amazon-roots.pem");

/// The region, the credentials and the endpoints with which AWS is called.
#[derive(Clone, Debug)]
pub struct AwsEnvironment {
    /// The region: `AWS_REGION`.
    pub region: String,
    /// The function's credentials: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
    pub credentials: Credentials,
    /// The URL of a DynamoDB emulator: `AWS_ENDPOINT_URL_DYNAMODB` or `AWS_ENDPOINT_URL`.
    pub dynamodb_endpoint: Option<String>,
    /// The URL of a Secrets Manager emulator: `AWS_ENDPOINT_URL_SECRETS_MANAGER` or `AWS_ENDPOINT_URL`.
    pub secrets_manager_endpoint: Option<String>,
    /// The URL of an SNS emulator: `AWS_ENDPOINT_URL_SNS` or `AWS_ENDPOINT_URL`.
    pub sns_endpoint: Option<String>,
}

impl AwsEnvironment {
    /// Reads the variables that Lambda sets for every function.
    pub fn from_variables(variables: &HashMap<String, String>) -> Result<Self, Source> {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
        let require = |name: &str| get(name).ok_or_else(|| format!("{name} must be set; Lambda sets it"));
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

/// Returns a DynamoDB client that uses this HTTP client.
pub fn dynamodb_client(environment: &AwsEnvironment, http: SharedHttpClient) -> aws_sdk_dynamodb::Client {
    let mut config = aws_sdk_dynamodb::config::Builder::from(&sdk_config(environment, http));
    config.set_endpoint_url(environment.dynamodb_endpoint.clone());
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// Returns a Secrets Manager client that uses this HTTP client.
pub fn secrets_manager_client(environment: &AwsEnvironment, http: SharedHttpClient) -> aws_sdk_secretsmanager::Client {
    let mut config = aws_sdk_secretsmanager::config::Builder::from(&sdk_config(environment, http));
    config.set_endpoint_url(environment.secrets_manager_endpoint.clone());
    aws_sdk_secretsmanager::Client::from_conf(config.build())
}

/// Returns an SNS client that uses this HTTP client. It tries once and has no timeout but that of connecting, because
/// SNS cannot recognize a repeated request and only the caller knows which requests may be repeated.
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

/// Returns the configuration that every client starts from.
///
/// A client tries three times within 3 s, for 1 s each (docs/threats.md#f1), because the request's own deadline is 8 s
/// and the function's is 10 s.
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

/// The reason why a call to AWS failed, as far as the caller needs to know it.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The service cannot be reached, throttles, or is broken; a later try may succeed.
    #[error("the AWS service is not available")]
    Unavailable(#[source] Source),
    /// The function's role does not allow the call.
    #[error("the function's role does not allow the call")]
    Denied(#[source] Source),
    /// The service does not accept the call, because of a mistake in the code or in the template.
    #[error("the AWS service does not accept the call")]
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

/// An error of the SDK with its code and message in its own text, for the log. The SDK's errors say only "service
/// error" and keep the rest in their sources.
#[derive(Debug, thiserror::Error)]
#[error("{} ({})", code.as_deref().unwrap_or("no error code"), message.as_deref().unwrap_or("no message"))]
struct DescribedError {
    code: Option<String>,
    message: Option<String>,
    source: Source,
}

/// The HTTP clients of the functions. They use plain HTTP only for an endpoint whose configured URL says so.
#[derive(Clone, Debug)]
pub struct HttpsClients {
    /// The client that keeps connections open between calls.
    pub keeping: SharedHttpClient,
    /// The client that opens a connection for each call. A connection that was kept while the sandbox slept may be
    /// dead. The SDK then tries again, but a call that must not run twice cannot be repeated: it is unknown whether it
    /// ran.
    pub fresh: SharedHttpClient,
}

impl HttpsClients {
    /// Makes both clients; they trust only Amazon's roots.
    pub fn new() -> Result<Self, Source> {
        let trust = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS.as_bytes());
        let tls = TlsContext::builder().with_trust_store(trust).build()?;
        let builder = || Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone());
        Ok(Self { keeping: builder().build_https(), fresh: builder().pool_max_idle_per_host(0).build_https() })
    }

    /// Uses one client for both purposes.
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
