//! HTTP to a provider of text messages: by the HTTP client that the AWS SDK brings, with the machine's own roots, within
//! a deadline.

use std::{error::Error as StdError, fmt, time::Duration};

use aws_smithy_http_client::{
    Connector,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use base64::{Engine, prelude::BASE64_STANDARD};
use http_body_util::{BodyExt, Limited};
use hyper_util::client::legacy;
use zeroize::Zeroizing;

use crate::{base::fault::Source, messages::message::Delivery};

/// How long a provider has, both tries together: under the request's own deadline, with room for what comes after.
pub(super) const DEADLINE: Duration = Duration::from_secs(3);

/// How often a message is handed over, at the most.
const TRIES: usize = 2;

/// How long a connection may take, so that there is time for a second try.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest answer that is looked at, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// A client for providers' APIs.
#[derive(Clone)]
pub struct HttpsPoster(SharedHttpConnector);

/// A request to a provider. Has no `Debug`: it carries a code and credentials.
pub(super) struct Post<'a> {
    pub(super) url: &'a str,
    pub(super) headers: Vec<(&'static str, Zeroizing<String>)>,
    pub(super) body: &'a str,
}

/// What a provider answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl HttpsPoster {
    /// Trusts the roots of the machine: providers have certificates of many authorities. Speaks plain HTTP only to an
    /// address that is configured so.
    pub fn new() -> Result<Self, Source> {
        let tls = TlsContext::builder().with_trust_store(TrustStore::empty().with_native_roots(true)).build()?;
        let connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls)
            .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
            // A connection that was kept while the sandbox slept may be dead, and then nobody knows what became of a message.
            .pool_max_idle_per_host(0)
            .build();
        Ok(Self(SharedHttpConnector::new(connector)))
    }

    /// Hands a message over. `judge` says what an answer means.
    pub(super) async fn deliver(&self, post: &Post<'_>, judge: fn(&Answer) -> Delivery) -> Delivery {
        let once = || async {
            match self.send(post).await {
                Ok(Answer { status: 408 | 504, .. }) => Delivery::Unknown,
                Ok(answer) => judge(&answer),
                Err(error) if never_arrived(&error) => Delivery::NotSent("it cannot be reached".into()),
                Err(_) => Delivery::Unknown,
            }
        };
        hand_over(once).await
    }

    async fn send(&self, post: &Post<'_>) -> Result<Answer, ConnectorError> {
        let mut request = HttpRequest::new(SdkBody::from(post.body));
        request.set_method("POST").map_err(|error| ConnectorError::user(error.into()))?;
        request.set_uri(post.url).map_err(|error| ConnectorError::user(error.into()))?;
        for (name, value) in &post.headers {
            let added = request.headers_mut().try_insert(*name, value.to_string());
            added.map_err(|error| ConnectorError::user(error.into()))?;
        }
        let response = self.0.call(request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        // The status has been said: a body that breaks off does not make it untrue.
        Ok(Answer { status, body: body.map(|body| body.to_bytes().to_vec()).unwrap_or_default() })
    }
}

impl fmt::Debug for HttpsPoster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpsPoster")
    }
}

/// What `Authorization` says by Basic authentication (RFC 7617).
pub(super) fn basic(user: &str, password: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())))
}

/// Hands a message over, and once more when it certainly was not taken; within the deadline.
pub(super) async fn hand_over<F: Future<Output = Delivery>>(once: impl Fn() -> F) -> Delivery {
    let tries = async {
        let mut outcome = Delivery::NotSent("it was not tried".into());
        for _ in 0..TRIES {
            outcome = once().await;
            if !matches!(outcome, Delivery::NotSent(_)) {
                break;
            }
        }
        outcome
    };
    // What took so long may have arrived.
    tokio::time::timeout(DEADLINE, tries).await.unwrap_or(Delivery::Unknown)
}

/// Whether the provider certainly has not seen the request: there was no connection, for whatever reason (no such name,
/// nobody there, no certificate that we trust).
pub(super) fn never_arrived(error: &ConnectorError) -> bool {
    let mut source: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = source {
        if current.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect) {
            return true;
        }
        source = current.source();
    }
    error.is_user()
}
