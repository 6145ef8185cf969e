//! Serves the gateway and the developers' pages on a socket, and prints one line per request.

use std::{
    io,
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
    middleware::Next,
    response::{Html, IntoResponse, Redirect},
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, uri::Authority};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use latchkey::{ApiError, app::Witness, base::terminal::say, store::Store};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::{
    clock::Clock,
    console::{Console, Exchange},
    emulator::{Emulator, Service, Target},
    gateway::Gateway,
    messages_page, qr_page, rotation,
    template::Rotation,
    users_page,
};

/// The largest body that the server accepts, in bytes. API Gateway accepts 10 MB; the functions read 16 KiB.
const MAX_BODY: usize = 1024 * 1024;

/// The path of the table, in DynamoDB's own protocol.
pub const DYNAMODB_PATH: &str = "/dev/dynamodb";

/// The path of the secrets, in Secrets Manager's own protocol, for clients that have the access key.
pub const SECRETS_MANAGER_PATH: &str = "/dev/secretsmanager";

/// The interval at which the server checks whether a rotation is due.
const ROTATION_INTERVAL: Duration = Duration::from_hours(1);

/// The interval at which the server sends the notices that are owed, as in `template.yaml`.
const NOTICES_INTERVAL: Duration = Duration::from_mins(5);

/// The time that running requests have to finish when the server stops.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// The time in which a body must arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// The parts of the dev server.
pub struct Server {
    /// The API.
    pub gateway: Gateway,
    /// The table and the secrets, for other processes: the real binaries, `aws dynamodb --endpoint-url`.
    pub emulator: Emulator,
    /// The table, as operators read it.
    pub store: Store,
    /// The access key for the table and the secrets. It is in `lambda.env`, which only its owner can read.
    pub access_key: String,
    /// The secrets to rotate while the server runs.
    pub rotations: Vec<Rotation>,
    /// The messages that were "sent", the counts and the audit events.
    pub witness: Witness,
    /// The terminal.
    pub console: Console,
    /// The address that the server prints, which is also the issuer of its tokens.
    pub url: String,
    /// The page at `/`.
    pub start_page: String,
    /// Whether the terminal shows audit events.
    pub shows_audit_events: bool,
    /// The source of the time.
    pub clock: Clock,
    /// Whether the server listens on this machine only. If so, it refuses every request for another host name, because
    /// another site's name may have been made to resolve to this machine (DNS rebinding).
    pub only_for_this_machine: bool,
}

/// Serves until `stop` resolves, and then lets running requests finish.
pub async fn serve(
    server: Server,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let shared = Arc::new(Serving { server, printed: AtomicUsize::new(0) });
    let router = axum::Router::new()
        .route("/", get(start_page))
        .route("/dev/messages", get(messages))
        .route("/dev/users", get(users))
        .route("/dev/qr", get(async || Html(qr_page::PAGE)))
        // What people type.
        .route("/dev", get(async || Redirect::temporary("/dev/messages")))
        .route("/dev/", get(async || Redirect::temporary("/dev/messages")))
        .route("/dev/messages/", get(async || Redirect::temporary("/dev/messages")))
        .route("/dev/users/", get(async || Redirect::temporary("/dev/users")))
        .route("/dev/qr/", get(async || Redirect::temporary("/dev/qr")))
        .route("/docs/", get(async || Redirect::temporary("/docs")))
        .route(DYNAMODB_PATH, post(dynamodb))
        .route(&format!("{DYNAMODB_PATH}/"), post(dynamodb))
        .route(SECRETS_MANAGER_PATH, post(secrets_manager))
        .route(&format!("{SECRETS_MANAGER_PATH}/"), post(secrets_manager))
        .fallback(api)
        .layer(axum::middleware::from_fn_with_state(shared.clone(), refuse_other_hosts))
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
        () = shared.send_notices() => Ok(()),
    }
}

struct Serving {
    server: Server,
    /// The number of messages printed so far.
    printed: AtomicUsize,
}

/// Refuses requests to another host name while only this machine is served, whatever they ask for: responses contain
/// codes, and a page of another site can read them once its name resolves to this machine (DNS rebinding).
async fn refuse_other_hosts(
    State(serving): State<Arc<Serving>>,
    request: http::Request<Body>,
    next: Next,
) -> http::Response<Body> {
    if serving.is_rebound(request.headers(), request.uri()) {
        let url = &serving.server.url;
        say(&format!("refused: a request for another host name; use {url}, or serve other devices with --host"));
        return misdirected(url);
    }
    next.run(request).await
}

/// Returns the problem for a request that names another host (RFC 9110 section 15.5.20). Only the dev server has it, so it
/// is none of the API's.
fn misdirected(url: &str) -> http::Response<Body> {
    let problem = json!({
        "type": "urn:latchkey:problem:misdirected-request",
        "title": "The request is for another host",
        "status": StatusCode::MISDIRECTED_REQUEST.as_u16(),
        "detail": format!(
            "This server answers to names of this machine only, such as localhost and 127.0.0.1, so that no page of \
             another site reads it. Send the request to {url}, or start the server with --host to serve other devices."
        ),
        "code": "misdirected-request",
        "instance": Uuid::new_v4().to_string(),
    });
    let mut response = http::Response::new(Body::from(problem.to_string()));
    *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

async fn start_page(State(serving): State<Arc<Serving>>) -> Html<String> {
    Html(serving.server.start_page.clone())
}

/// Serves the messages: as a page, or to clients that ask for JSON, as that. `?after=N` leaves the first N out.
async fn messages(State(serving): State<Arc<Serving>>, uri: Uri, headers: HeaderMap) -> http::Response<Body> {
    let Server { witness, clock, .. } = &serving.server;
    let after = uri.query().and_then(|query| query.strip_prefix("after=")).and_then(|after| after.parse().ok());
    let (mut messages, total) = witness.outbox.messages_after(after.unwrap_or(0));
    messages.reverse();
    if wants_json(&headers) {
        json_response(&messages_page::as_json(&messages, total))
    } else {
        Html(messages_page::render(&messages, total, clock.now())).into_response()
    }
}

/// Serves the accounts: as a page, or to clients that ask for JSON, as that.
async fn users(State(serving): State<Arc<Serving>>, headers: HeaderMap) -> http::Response<Body> {
    let Server { store, clock, .. } = &serving.server;
    match users_page::read(store, clock.now()).await {
        Ok(accounts) if wants_json(&headers) => json_response(&users_page::as_json(&accounts)),
        Ok(accounts) => Html(users_page::render(&accounts)).into_response(),
        Err(error) => {
            let error = ApiError::from(error);
            error.log();
            problem(error)
        }
    }
}

/// Returns whether a client asks for JSON, and not for a page as browsers do.
fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accepted.contains("application/json") && !accepted.contains("text/html")
}

fn json_response(body: &Value) -> http::Response<Body> {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Serves DynamoDB's wire protocol to clients that have this server's access key. A `lambda.env` left by another server
/// on this port must not give access to this one.
async fn dynamodb(State(serving): State<Arc<Serving>>, headers: HeaderMap, body: String) -> http::Response<Body> {
    if serving.has_access_key(&headers) {
        return serving.aws(Service::DynamoDb, &headers, &body);
    }
    let refusal = json!({
        "__type": "com.amazon.coral.service#UnrecognizedClientException",
        "message": "this access key is of another dev server; use the lambda.env of the one that runs on this port",
    });
    let mut response = http::Response::new(Body::from(refusal.to_string()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// Serves Secrets Manager's wire protocol to the user who runs the server; others on this machine do not know the
/// access key.
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
    #[expect(clippy::disallowed_methods, reason = "the duration of a request, for its line")]
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (response, function) = serving.answer(request, peer.ip()).await;
    serving.print_messages();
    let exchange = Exchange {
        method: &method,
        path: &path,
        function: function.as_deref(),
        response: &response,
        duration: started.elapsed(),
    };
    serving.server.console.print(&exchange, &serving.server.witness.outbox);
    serving.print_audit_events();
    response.map(Body::from)
}

impl Serving {
    /// Returns whether a request to an AWS service names this server's own access key.
    fn has_access_key(&self, headers: &HeaderMap) -> bool {
        let credential = format!("Credential={}/", self.server.access_key);
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        authorization.is_some_and(|authorization| authorization.contains(&credential))
    }

    /// Rotates secrets when their rotation is due. Never returns.
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

    /// Sends the notices that are owed, as `EventBridge` has it done.
    async fn send_notices(&self) {
        loop {
            #[expect(clippy::disallowed_methods, reason = "the dev server's edge: it has the machine's clock")]
            tokio::time::sleep(NOTICES_INTERVAL).await;
            if let Err(error) = self.server.gateway.invoke("send-notices", json!({})).await {
                tracing::error!(error, "the notices that are owed could not be sent");
            }
        }
    }

    /// Responds to a request to an AWS service.
    fn aws(&self, service: Service, headers: &HeaderMap, body: &str) -> http::Response<Body> {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let target = Target::parse(target);
        if target.service != service {
            return problem(ApiError::NotFound);
        }
        let (status, answer) = self.server.emulator.answer(&target, body);
        let mut response = http::Response::new(Body::from(answer));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        response
    }

    /// Returns whether the request was sent to a host name that is not this machine's own, while only this machine is
    /// served.
    fn is_rebound(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let is_ours = |authority: &Authority| is_this_machine(authority.host());
        let names_us = |host: &HeaderValue| {
            host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()).is_some_and(|host| is_ours(&host))
        };
        let mut hosts = headers.get_all(header::HOST).iter().peekable();
        let is_for_us = hosts.peek().is_some() && hosts.all(names_us) && uri.authority().is_none_or(is_ours);
        self.server.only_for_this_machine && !is_for_us
    }

    async fn answer(&self, request: http::Request<Body>, source: IpAddr) -> (http::Response<Vec<u8>>, Option<String>) {
        let (parts, body) = request.into_parts();
        let refuse = |error| {
            let mut response = own_problem(error);
            self.server.gateway.expose(&parts.headers, response.headers_mut());
            (response, None)
        };
        let body = match tokio::time::timeout(BODY_DEADLINE, Limited::new(body, MAX_BODY).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return refuse(ApiError::BodyTooLarge),
            Ok(Err(_)) | Err(_) => {
                return refuse(ApiError::MalformedRequest("the body did not arrive completely".to_owned()));
            }
        };
        let answer = self.server.gateway.handle(http::Request::from_parts(parts, body.to_vec()), source).await;
        (answer.response, answer.function)
    }

    /// Prints new messages to the console, as the origin's stub did.
    fn print_messages(&self) {
        let (new, total) = self.server.witness.outbox.messages_after(self.printed.load(Ordering::SeqCst));
        if self.printed.swap(total, Ordering::SeqCst) < total {
            for message in new {
                say(&format!("SMS to {}: {}", message.to.as_e164(), message.text));
            }
        }
    }

    /// Prints the audit events of a request, if they are shown. Counts are forgotten, because no alarm reads them here.
    fn print_audit_events(&self) {
        self.server.witness.metrics.take();
        for event in self.server.witness.audit_log.take() {
            if self.server.shows_audit_events {
                say(&format!("    {event}"));
            }
        }
    }
}

/// Returns whether a host name leads to this machine wherever it is resolved, so that no other site can have it: a loopback
/// address, the address that stands for every one of this machine, and `localhost` with what lies below it (RFC 6761
/// section 6.3).
fn is_this_machine(host: &str) -> bool {
    let name = host.trim_matches(['[', ']']);
    if let Ok(address) = name.parse::<IpAddr>() {
        let address = address.to_canonical();
        return address.is_loopback() || address.is_unspecified();
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Returns a problem of the server itself, for a request that has no identifier yet.
fn own_problem(error: ApiError) -> http::Response<Vec<u8>> {
    let id = Uuid::new_v4().to_string();
    error.into_response(&id).into_lambda().map(|body| body.to_vec())
}

fn problem(error: ApiError) -> http::Response<Body> {
    own_problem(error).map(Body::from)
}

#[cfg(test)]
mod tests {
    use super::is_this_machine;

    #[test]
    fn names_of_this_machine_are_those_that_no_other_site_can_have() {
        for ours in [
            "localhost",
            "LocalHost",
            "localhost.",
            "app.localhost",
            "a.b.localhost.",
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_this_machine(ours), "{ours}");
        }
        for foreign in [
            "",
            ".",
            "evil.example",
            "notlocalhost",
            "localhost.evil.example",
            "localhost..",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "10.0.2.2",
            "[fe80::1]",
            "[::ffff:192.0.2.1]",
        ] {
            assert!(!is_this_machine(foreign), "{foreign}");
        }
    }
}
