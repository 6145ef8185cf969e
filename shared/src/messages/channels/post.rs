//! HTTPS requests to providers of text messages, within a deadline: with the machine's trusted roots.

use std::{
    error::Error as StdError,
    fmt::{self, Display},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, SharedHttpConnector},
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use base64::{Engine, prelude::BASE64_STANDARD};
use http_body_util::{BodyExt, Limited};
use hyper_util::client::legacy;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{
    base::fault::Source,
    https::{Roots, Tls},
    messages::message::Delivery,
};

/// The time that a provider has at the most, for both tries together: under the request's own deadline, with time left
/// for later steps.
pub const DEADLINE: Duration = Duration::from_secs(3);

/// The largest number of tries to hand over a message.
const TRIES: usize = 2;

/// The time that a connection may take at the most, short enough for a second try.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The size of the longest response that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// A client for providers' APIs.
#[derive(Clone)]
pub struct HttpsPoster(SharedHttpConnector);

/// A request to a provider. It has no `Debug`, because it carries a code and credentials.
pub(super) struct Post<'a> {
    pub(super) url: &'a str,
    pub(super) headers: Vec<(&'static str, Zeroizing<String>)>,
    pub(super) body: &'a str,
}

/// A provider's response.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl HttpsPoster {
    /// Creates a client that trusts the machine's roots, because providers have certificates of many authorities. It
    /// uses plain HTTP only for a URL that says so.
    ///
    /// Where a request waits for a provider no longer than `floor`, a connection may take two thirds of it: a provider
    /// that cannot be reached certainly has sent nothing, and the rest is for giving back what was charged.
    pub fn new(floor: Duration) -> Result<Self, Source> {
        let connect_timeout = if floor.is_zero() { CONNECT_TIMEOUT } else { CONNECT_TIMEOUT.min(floor * 2 / 3) };
        // A connection kept while the sandbox slept may be dead, and then the outcome of a message would be unknown.
        Ok(Self(SharedHttpConnector::new(Tls::new(Roots::OfMachine, connect_timeout)?.fresh())))
    }

    /// Hands a message over, within the deadline. `judge` derives the outcome from the response.
    pub(super) async fn deliver(
        &self,
        post: &Post<'_>,
        deadline: Duration,
        judge: fn(&Answer) -> Delivery,
    ) -> Delivery {
        let once = || async {
            match self.send(post).await {
                // 524 is Cloudflare's 504.
                Ok(Answer { status: 408 | 504 | 524, .. }) => Delivery::Unknown,
                Ok(answer) => judge(&answer),
                Err(error) if never_arrived(&error) => Delivery::NotSent("the provider cannot be reached".into()),
                Err(_) => Delivery::Unknown,
            }
        };
        hand_over(deadline, once).await
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
        // The status is valid, even if the body breaks off.
        Ok(Answer { status, body: body.map(|body| body.to_bytes().to_vec()).unwrap_or_default() })
    }
}

impl fmt::Debug for HttpsPoster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpsPoster")
    }
}

/// Judges a response that the provider's own `code` explains, if it has one, whatever its status; `is_about_number` tells
/// codes that blame the number from those that do not. `has_message` says whether the response names the message that the
/// provider took: a success that names none may come from a proxy in between.
pub(super) fn judge_by_code<C: Display>(
    answer: &Answer,
    has_message: bool,
    code: Option<C>,
    is_about_number: impl FnOnce(&C) -> bool,
) -> Delivery {
    let status = answer.status;
    match code {
        None if (200..300).contains(&status) => {
            if has_message {
                Delivery::Sent
            } else {
                Delivery::Unknown
            }
        }
        _ if is_ambiguous(status) => Delivery::Unknown,
        Some(code) if is_about_number(&code) => Delivery::Refused(format!("error {code}")),
        Some(code) => Delivery::NotSent(format!("status {status}, error {code}")),
        None => Delivery::NotSent(format!("status {status}")),
    }
}

/// Returns the value of `Authorization` for Basic authentication (RFC 7617).
pub(super) fn basic(user: &str, password: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())))
}

/// Returns whether a status does not say if the message was sent (RFC 9110 section 15.6). A provider without an
/// idempotency key must not be asked again then, since that could be a second message.
pub(super) fn is_ambiguous(status: u16) -> bool {
    matches!(status, 500..=599)
}

/// Hands a message over, within the deadline. Tries once more if the message was not sent and half of the time is left.
pub(super) async fn hand_over<F: Future<Output = Delivery>>(deadline: Duration, once: impl Fn() -> F) -> Delivery {
    let deadline = deadline.min(DEADLINE);
    let started = Instant::now();
    let tries = async {
        let mut outcome = Delivery::NotSent("no try was made".into());
        for _ in 0..TRIES {
            outcome = once().await;
            let may_be_tried_again = matches!(outcome, Delivery::NotSent(_) | Delivery::Doubtful(_));
            if !may_be_tried_again || started.elapsed() * 2 > deadline {
                break;
            }
        }
        outcome
    };
    // A message that took this long may have been sent.
    tokio::time::timeout(deadline, tries).await.unwrap_or(Delivery::Unknown)
}

/// Returns whether the request certainly did not reach the provider, because no connection was made: the name is
/// unknown, nothing listens there, or the certificate is not trusted.
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
