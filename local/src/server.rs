//! The gateway behind a socket, the outbox page, and one line per request.

use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    response::{Html, IntoResponse},
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, uri::Authority};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use latchkey::{ApiError, messages::Outbox};
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::{
    clock::Clock,
    emulator::{Emulator, Service, Target},
    gateway::Gateway,
    messages_page, rotation,
    template::Rotation,
};

/// The longest body that is taken from a socket. API Gateway takes 10 MB; the functions read 16 KiB.
const MAX_BODY: usize = 1024 * 1024;

/// Where the table answers in DynamoDB's own protocol.
pub const DYNAMODB_PATH: &str = "/dev/dynamodb";

/// Where the secrets answer in Secrets Manager's own protocol, to whoever has the access key.
pub const SECRETS_MANAGER_PATH: &str = "/dev/secretsmanager";

/// How often it looks whether a secret is to be rotated.
const ROTATION_INTERVAL: Duration = Duration::from_hours(1);

/// How long requests that are running may take when it is asked to end.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// What the dev server serves.
pub struct Server {
    /// The API.
    pub gateway: Gateway,
    /// The table and the secrets, for other processes: the real binaries, `aws dynamodb --endpoint-url`.
    pub emulator: Emulator,
    /// Which access key opens the secrets; it is in `lambda.env`, for their owner alone.
    pub access_key: String,
    /// Which secrets are rotated while it runs.
    pub rotations: Vec<Rotation>,
    /// The messages that were "sent".
    pub outbox: Outbox,
    /// The time.
    pub clock: Clock,
    /// Whether it listens on this machine alone. Then a page of another site, whose name was made to lead here (DNS
    /// rebinding), is kept from `/dev/…` by the name that it asked for.
    pub only_for_this_machine: bool,
}

/// Serves until `stop` resolves; lets running requests finish.
pub async fn serve(
    server: Server,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let shared = Arc::new(Serving { server, printed: AtomicUsize::new(0) });
    let router = axum::Router::new()
        .route("/dev/messages", get(outbox_page))
        .route(DYNAMODB_PATH, post(dynamodb))
        .route(&format!("{DYNAMODB_PATH}/"), post(dynamodb))
        .route(SECRETS_MANAGER_PATH, post(secrets_manager))
        .route(&format!("{SECRETS_MANAGER_PATH}/"), post(secrets_manager))
        .fallback(api)
        .with_state(shared.clone())
        .into_make_service_with_connect_info::<SocketAddr>();
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let stop = async {
        stop.await;
        let _ = stopping.send(());
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop).into_future();
    let given_up = async {
        let _ = stopped.await;
        #[expect(
            clippy::disallowed_methods,
            reason = "a client that sends half a request must not keep it from ending"
        )]
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        result = serving => result,
        () = given_up => Ok(()),
        () = shared.rotate() => Ok(()),
    }
}

struct Serving {
    server: Server,
    /// How many messages were printed so far.
    printed: AtomicUsize,
}

async fn outbox_page(State(serving): State<Arc<Serving>>, headers: HeaderMap) -> http::Response<Body> {
    if serving.is_rebound(&headers) {
        return problem(ApiError::NotFound);
    }
    let Server { outbox, clock, .. } = &serving.server;
    Html(messages_page::render(&outbox.messages(), clock.now())).into_response()
}

/// DynamoDB's wire protocol, for whoever has this server's access key: what another server on this port left in its folder must
/// not lead here.
async fn dynamodb(State(serving): State<Arc<Serving>>, headers: HeaderMap, body: String) -> http::Response<Body> {
    if serving.has_access_key(&headers) {
        return serving.aws(Service::DynamoDb, &headers, &body);
    }
    let refusal = json!({
        "__type": "com.amazon.coral.service#UnrecognizedClientException",
        "message": "another dev server answers here: this access key is not in its lambda.env",
    });
    let mut response = http::Response::new(Body::from(refusal.to_string()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// Secrets Manager's wire protocol, for the user who runs the server: others on this machine do not know the access key.
async fn secrets_manager(
    State(serving): State<Arc<Serving>>,
    headers: HeaderMap,
    body: String,
) -> http::Response<Body> {
    if serving.has_access_key(&headers) {
        serving.aws(Service::SecretsManager, &headers, &body)
    } else {
        problem(ApiError::NotFound)
    }
}

async fn api(
    State(serving): State<Arc<Serving>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: http::Request<Body>,
) -> http::Response<Body> {
    #[expect(clippy::disallowed_methods, reason = "how long a request took, for its line")]
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (response, function) = serving.answer(request, peer.ip()).await;
    serving.print_messages();
    say(&format!(
        "{method} {path} {} {:.1} ms {}",
        response.status().as_u16(),
        started.elapsed().as_secs_f64() * 1000.0,
        function.as_deref().unwrap_or("-"),
    ));
    response
}

impl Serving {
    /// Whether a request to one of AWS's services was signed with this server's own access key.
    fn has_access_key(&self, headers: &HeaderMap) -> bool {
        let credential = format!("Credential={}/", self.server.access_key);
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        authorization.is_some_and(|authorization| authorization.contains(&credential))
    }

    /// Rotates secrets when their time comes. Never ends.
    async fn rotate(&self) {
        let Server { gateway, emulator, rotations, clock, .. } = &self.server;
        loop {
            #[expect(clippy::disallowed_methods, reason = "the dev server's edge: it has the machine's clock")]
            tokio::time::sleep(ROTATION_INTERVAL).await;
            let rotated = rotation::rotate_those_due(gateway, emulator.secrets(), rotations, clock).await;
            if let Err(error) = rotated {
                tracing::error!(error, "the signing keys could not be rotated");
            }
        }
    }

    /// Answers a request to one of AWS's services.
    fn aws(&self, service: Service, headers: &HeaderMap, body: &str) -> http::Response<Body> {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let target = Target::parse(target);
        if self.is_rebound(headers) || target.service != service {
            return problem(ApiError::NotFound);
        }
        let (status, answer) = self.server.emulator.answer(&target, body);
        let mut response = http::Response::new(Body::from(answer));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        response
    }

    /// Whether the request was sent to a name that is not this machine's own.
    fn is_rebound(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let is_ours = host.parse::<Authority>().is_ok_and(|authority| {
            let name = authority.host().trim_matches(['[', ']']);
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        });
        self.server.only_for_this_machine && !is_ours
    }

    async fn answer(&self, request: http::Request<Body>, source: IpAddr) -> (http::Response<Body>, Option<String>) {
        let (parts, body) = request.into_parts();
        let body = match tokio::time::timeout(BODY_DEADLINE, Limited::new(body, MAX_BODY).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return (problem(ApiError::BodyTooLarge), None),
            Ok(Err(_)) | Err(_) => {
                let error = ApiError::MalformedRequest("the body did not arrive whole".to_owned());
                return (problem(error), None);
            }
        };
        let answer = self.server.gateway.handle(http::Request::from_parts(parts, body.to_vec()), source).await;
        (answer.response.map(Body::from), answer.function)
    }

    /// What the origin's stub did: the message on the console.
    fn print_messages(&self) {
        let (new, total) = self.server.outbox.messages_after(self.printed.load(Ordering::SeqCst));
        if self.printed.swap(total, Ordering::SeqCst) < total {
            for message in new {
                say(&format!("SMS to {}: {}", message.to.as_e164(), message.text));
            }
        }
    }
}

/// A line on standard output. That nobody reads it any more is no reason to stop serving.
pub fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// A problem of the server itself, before there is a request that has an identifier.
fn problem(error: ApiError) -> http::Response<Body> {
    let id = Uuid::new_v4().to_string();
    error.into_response(&id).into_lambda().map(|body| Body::from(body.to_vec()))
}
