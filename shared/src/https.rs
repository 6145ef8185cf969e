//! HTTPS by HTTP/1.1: hyper's client on rustls and *ring*, as the SDK of AWS calls it. AWS's endpoints that we use and the
//! providers of messages speak HTTP/1.1, and the SDK's own client cannot be built without HTTP/2
//! (docs/adr/0056-an-http-1-connector.md).

use std::{
    error::Error as StdError,
    fmt, io,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    connection::{CaptureSmithyConnection, ConnectionMetadata},
    http::{HttpConnector, HttpConnectorFuture},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    retries::ErrorKind,
};
use aws_smithy_types::body::SdkBody;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        self, Client,
        connect::{CaptureConnection, HttpConnector as TcpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{CipherSuite, ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use tokio::time::error::Elapsed;
use tower_service::Service;

use crate::base::fault::Source;

/// The certificates that a client trusts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Roots {
    /// These, in DER.
    Of(&'static [&'static [u8]]),
    /// Those of the machine, because providers have certificates of many authorities.
    OfMachine,
}

/// The machine's roots, of which there are some 140. Some may be unreadable. Without any, no connection is trusted.
static OF_MACHINE: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(store)
});

/// What the connections of several connectors have in common: the roots are read once.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    config: ClientConfig,
    connect_timeout: Duration,
}

impl Tls {
    /// Reads the roots. A connection that is not open after `connect_timeout` is given up.
    pub(crate) fn new(roots: Roots, connect_timeout: Duration) -> Result<Self, Source> {
        let store = match roots {
            Roots::Of(roots) => {
                let mut store = RootCertStore::empty();
                for root in roots {
                    store.add(CertificateDer::from(*root))?;
                }
                Arc::new(store)
            }
            Roots::OfMachine => OF_MACHINE.clone(),
        };
        let mut provider = ring::default_provider();
        // Where the server leaves the choice to us: a handshake derives its keys by some thirty HMACs, and with SHA-256,
        // for which processors have instructions, each takes less than half the time of one with SHA-384.
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self { config, connect_timeout })
    }

    /// Returns a connector that keeps connections open between requests.
    pub(crate) fn keeping(&self) -> Https {
        self.connector(usize::MAX)
    }

    /// Returns a connector that opens a connection for each request.
    pub(crate) fn fresh(&self) -> Https {
        self.connector(0)
    }

    fn connector(&self, most_idle: usize) -> Https {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let tls = HttpsConnectorBuilder::new().with_tls_config(self.config.clone()).https_or_http().enable_http1();
        let connector = InTime { inner: tls.wrap_connector(tcp), limit: self.connect_timeout };
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_max_idle_per_host(most_idle);
        Https(builder.build(connector))
    }
}

/// A connector of the SDK. Its clones share their connections. It uses plain HTTP only for a URL that says so.
#[derive(Clone)]
pub(crate) struct Https(Client<InTime<HttpsConnector<TcpConnector>>, SdkBody>);

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let connection = capture_connection(&mut request);
        if let Some(captured) = request.extensions().get::<CaptureSmithyConnection>() {
            captured.set_connection_retriever(move || metadata(&connection));
        }
        let response = self.0.request(request);
        HttpConnectorFuture::new(async move {
            let response = response.await.map_err(classified)?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Https")
    }
}

/// Returns what the SDK wants to know of a connection: how to keep it from being used again, after a response that says
/// that the server is not well.
fn metadata(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    connection.connection_metadata().as_ref()?;
    let connection = connection.clone();
    let poison = move || {
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(false).poison_fn(poison).build())
}

/// Tells the SDK, by which it decides on another try, whether the connection, the time or the request was wrong.
fn classified(error: legacy::Error) -> ConnectorError {
    let is = |kind: fn(&hyper::Error) -> bool| source_of::<hyper::Error>(&error).is_some_and(kind);
    let ran_out = source_of::<Elapsed>(&error).is_some() || is(hyper::Error::is_timeout);
    let is_broken = error.is_connect()
        || source_of::<io::Error>(&error).is_some()
        || is(hyper::Error::is_closed)
        || is(hyper::Error::is_canceled);
    let is_cut_off = is(hyper::Error::is_incomplete_message);
    if ran_out {
        ConnectorError::timeout(error.into())
    } else if is(hyper::Error::is_user) {
        ConnectorError::user(error.into())
    } else if is_broken {
        ConnectorError::io(error.into())
    } else {
        ConnectorError::other(error.into(), is_cut_off.then_some(ErrorKind::TransientError))
    }
}

/// Returns the first error of this type among an error and its causes.
fn source_of<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut causes = std::iter::successors(Some(error), |cause: &&'a (dyn StdError + 'static)| (*cause).source());
    causes.find_map(|cause| cause.downcast_ref::<T>())
}

/// A service that opens connections, each within a time.
#[derive(Clone, Debug)]
struct InTime<S> {
    inner: S,
    limit: Duration,
}

impl<S> Service<Uri> for InTime<S>
where
    S: Service<Uri>,
    S::Future: Send + 'static,
    S::Error: Into<Source>,
{
    type Response = S::Response;
    type Error = Source;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Source>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Source>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let opened = tokio::time::timeout(self.limit, self.inner.call(uri));
        Box::pin(async move { opened.await?.map_err(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        sync::mpsc,
        thread,
    };

    use http_body_util::BodyExt;

    use super::*;

    fn tls(limit: Duration) -> Tls {
        Tls::new(Roots::Of(&[]), limit).unwrap()
    }

    /// A server that does this with each connection. Returns its host, and tells of every connection.
    fn server(serve: fn(TcpStream)) -> (String, mpsc::Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (opened, connections) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = opened.send(());
                thread::spawn(move || serve(stream.unwrap()));
            }
        });
        (host, connections)
    }

    fn answer(mut stream: TcpStream) {
        let mut request = Vec::new();
        let mut byte = [0];
        while stream.read(&mut byte).is_ok_and(|read| read > 0) {
            request.extend(byte);
            if request.ends_with(b"\r\n\r\n") {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
                request.clear();
            }
        }
    }

    async fn get(client: &Https, url: &str) -> Result<Vec<u8>, ConnectorError> {
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri(url).unwrap();
        let response = client.call(request).await?;
        Ok(response.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    #[tokio::test]
    async fn connections_are_kept_or_not() {
        let (host, connections) = server(answer);
        let (url, tls) = (format!("http://{host}/"), tls(Duration::from_secs(5)));
        for (client, expected) in [(tls.keeping(), 1), (tls.fresh(), 3)] {
            for _ in 0..3 {
                assert_eq!(get(&client, &url).await.unwrap(), b"ok");
                // Lets the connection return to its pool.
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
            }
            assert_eq!(connections.try_iter().count(), expected);
        }
    }

    #[tokio::test]
    async fn an_error_says_whether_the_connection_or_the_time_was_wrong() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (silent, _connections) = server(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
        let (deaf, _connections) = server(drop);
        let tls = tls(Duration::from_millis(50));
        let error = async |url: String| get(&tls.fresh(), &url).await.unwrap_err();

        let refused = error(format!("http://{closed}/")).await;
        assert!(refused.is_io() && source_of::<legacy::Error>(&refused).is_some_and(legacy::Error::is_connect));
        // The handshake belongs to the connection.
        let late = error(format!("https://{silent}/")).await;
        assert!(late.is_timeout() && source_of::<legacy::Error>(&late).is_some_and(legacy::Error::is_connect));
        let broken = error(format!("http://{deaf}/")).await;
        let may_be_tried_again = broken.is_io() || broken.as_other() == Some(ErrorKind::TransientError);
        assert!(may_be_tried_again && !source_of::<legacy::Error>(&broken).is_some_and(legacy::Error::is_connect));
    }

    #[tokio::test]
    async fn without_a_handshake_nothing_is_sent() {
        let (plain, _connections) = server(|mut stream| drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")));
        let error = get(&tls(Duration::from_secs(5)).keeping(), &format!("https://{plain}/")).await.unwrap_err();
        assert!(source_of::<legacy::Error>(&error).is_some_and(legacy::Error::is_connect));
    }
}
