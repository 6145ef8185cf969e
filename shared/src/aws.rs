//! AWS clients for Lambda functions. They are configured by hand from the variables that Lambda sets, use rustls on
//! *ring* for TLS, and trust only Amazon's own roots. The SDK's defaults cost a cold start a hundred times the
//! instructions.

use std::{
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_dynamodb::{
    config::{
        BehaviorVersion, Region, SharedHttpClient,
        endpoint::{DefaultResolver, Params, ResolveEndpoint},
        retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, SharedHttpConnector, http_client_fn},
    orchestrator::HttpRequest,
};
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use futures_util::future::join_all;
use http_body_util::BodyExt;

use crate::{
    base::fault::Source,
    https::{Roots, Tls},
};

/// The time that a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The root certificates that AWS endpoints chain to (`data/amazon-roots.pem`), in DER.
const AMAZON_ROOTS: &[&[u8]] = include!(concat!(env!("OUT_DIR"), "/roots.rs"));

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
        .connect_timeout(CONNECT_TIMEOUT)
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
        .connect_timeout(CONNECT_TIMEOUT)
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

/// A client that is made when it is first used: most functions only use the table, and some use nothing. To make one costs
/// a start half a million instructions.
#[derive(Clone)]
pub struct OnFirstUse<T>(Arc<LazyLock<T, Box<dyn FnOnce() -> T + Send>>>);

impl<T> OnFirstUse<T> {
    /// Returns a client that `make` makes.
    pub fn new(make: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(make))))
    }

    /// Makes the client now.
    pub fn make(&self) {
        LazyLock::force(&self.0);
    }
}

impl<T> Deref for OnFirstUse<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for OnFirstUse<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnFirstUse")
    }
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
    /// What `keeping` sends its requests by, which no client of the SDK shows.
    connector: Option<SharedHttpConnector>,
}

impl HttpsClients {
    /// Makes both clients; they trust only Amazon's roots. All users of `keeping` share one connector, so that the roots
    /// are read once.
    pub fn new() -> Result<Self, Source> {
        let tls = Tls::new(Roots::Of(AMAZON_ROOTS), CONNECT_TIMEOUT)?;
        let client = |connector: SharedHttpConnector| http_client_fn(move |_, _| connector.clone());
        let (keeping, fresh) = (SharedHttpConnector::new(tls.keeping()), SharedHttpConnector::new(tls.fresh()));
        Ok(Self { keeping: client(keeping.clone()), fresh: client(fresh), connector: Some(keeping) })
    }

    /// Uses one client for both purposes.
    pub fn one(http: SharedHttpClient) -> Self {
        Self { keeping: http.clone(), fresh: http, connector: None }
    }

    /// Opens connections to DynamoDB, until the next calls by `keeping` find `count` of them. A failure is left to those
    /// calls. The first should be open before the others are asked for: then they resume its TLS session, which costs a
    /// fraction of a handshake, if the server lets them.
    ///
    /// It asks for `/`, which DynamoDB answers with its state of health: to anybody, without a signature and free of
    /// charge.
    pub async fn open_dynamodb(&self, environment: &AwsEnvironment, count: usize) {
        let (Some(connector), Some(url)) = (&self.connector, dynamodb_url(environment).await) else { return };
        let requests = (0..count).filter_map(|_| {
            let mut request = HttpRequest::new(SdkBody::empty());
            request.set_uri(url.as_str()).ok().map(|()| connector.call(request))
        });
        let asked = async {
            // All are asked at once, so that each needs a connection. One whose answer comes early may serve a second
            // request; then the connection begun for that one is completed by itself a moment later.
            for answer in join_all(requests).await.into_iter().flatten() {
                let _ = answer.into_body().collect().await;
            }
        };
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, asked).await;
    }
}

/// Returns the URL that the table's client calls.
async fn dynamodb_url(environment: &AwsEnvironment) -> Option<String> {
    if let Some(url) = &environment.dynamodb_endpoint {
        return Some(url.clone());
    }
    let place = Params::builder().region(environment.region.clone()).build().ok()?;
    let endpoint = DefaultResolver::new().resolve_endpoint(&place).await.ok()?;
    Some(endpoint.url().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazons_roots_are_read() {
        assert_eq!(AMAZON_ROOTS.len(), 5);
        assert!(HttpsClients::new().is_ok());
    }

    #[tokio::test]
    async fn the_connection_is_opened_to_where_the_client_calls() {
        let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name.to_owned(), "x".to_owned()));
        let mut variables = HashMap::from(names);
        for (region, url) in [
            ("eu-west-1", "https://dynamodb.eu-west-1.amazonaws.com"),
            ("cn-north-1", "https://dynamodb.cn-north-1.amazonaws.com.cn"),
        ] {
            variables.insert("AWS_REGION".to_owned(), region.to_owned());
            let environment = AwsEnvironment::from_variables(&variables).unwrap();
            assert_eq!(dynamodb_url(&environment).await.as_deref(), Some(url));
        }
        variables.insert("AWS_ENDPOINT_URL".to_owned(), "http://127.0.0.1:8000".to_owned());
        let environment = AwsEnvironment::from_variables(&variables).unwrap();
        assert_eq!(dynamodb_url(&environment).await.as_deref(), Some("http://127.0.0.1:8000"));
    }

    #[test]
    fn a_client_is_made_once_and_when_it_is_used() {
        let made = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counter = made.clone();
        let client = OnFirstUse::new(move || counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let other = client.clone();
        assert_eq!(made.load(std::sync::atomic::Ordering::Relaxed), 0);
        assert_eq!((*client, *other), (0, 0));
        assert_eq!(made.load(std::sync::atomic::Ordering::Relaxed), 1);
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = AwsEnvironment::from_variables(&HashMap::new()).unwrap_err().to_string();
        assert!(error.contains("AWS_ACCESS_KEY_ID"), "{error}");
    }
}
