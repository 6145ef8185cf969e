//! The edge of the process: the only place that reads the environment and the wall clock and talks to the Lambda
//! runtime.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{FutureExt, future::BoxFuture};
use lambda_http::{Adapter, Body, Service};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tracing::Level;
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, LevelFilter, Targets, filter_fn},
    layer::{Filter, SubscriberExt},
    util::SubscriberInitExt,
};

use crate::{
    app::{App, Clients},
    aws::{AwsEnvironment, HttpsClients},
    base::{front::Edge, time::Timestamp, variables::Variables},
    config::Config,
    domain::password::Hasher,
    error::ApiError,
    http::{Request, Response, context::Context, event::HttpEvent},
    log::{
        audit::{Circumstances, Outcome},
        metrics::Metric,
    },
};

pub use lambda_runtime::Error;

/// The time that a whole request has: under Lambda's 10 s, so that the client gets a response (docs/threats.md#f2).
const DEADLINE: Duration = Duration::from_secs(8);

/// A handler of HTTP requests.
pub type Handler = for<'a> fn(&'a App, &'a Context, Request) -> HandlerFuture<'a>;

/// A handler that needs only the request, and so waits for nothing.
pub type StatelessHandler = fn(&Context, &Request) -> Result<Response, ApiError>;

/// The future of a response, which a handler returns.
pub type HandlerFuture<'a> = BoxFuture<'a, Result<Response, ApiError>>;

/// A handler of events that are not HTTP requests.
pub type EventHandler = for<'a> fn(&'a App, &'a Invocation, Value) -> EventFuture<'a>;

/// The future of a result, which a handler of events returns.
pub type EventFuture<'a> = BoxFuture<'a, Result<Value, ApiError>>;

/// The code of a function. [`code!`](crate::code) makes it from a handler.
#[derive(Clone, Copy)]
pub enum Code {
    /// A handler with table, keys and configuration.
    Stateful(Handler),
    /// A handler with the same, for events that are not HTTP requests.
    Event(EventHandler),
    /// A handler with nothing but the request.
    Stateless(StatelessHandler),
}

/// Makes a [`Code`] from a handler: `code!(login::handle)`, `code!(stateless health::handle)`,
/// `code!(events rotate_keys::handle)`.
#[macro_export]
macro_rules! code {
    (stateless $handler:path) => {
        $crate::runtime::Code::Stateless($handler)
    };
    (events $handler:path) => {
        $crate::runtime::Code::Event(|app, invocation, event| ::std::boxed::Box::pin($handler(app, invocation, event)))
    };
    ($handler:path) => {
        $crate::runtime::Code::Stateful(|app, ctx, request| ::std::boxed::Box::pin($handler(app, ctx, request)))
    };
}

/// Writes the `main` of a function's binary, which serves the handler on Lambda: `lambda!(logout::handle)`. Names after
/// the handler are methods of [`Function`] that prepare something while the sandbox starts:
/// `lambda!(login::handle, hashing, at_once(3))`. `lambda!(after docs::prepare, docs::handle)` calls a function of the
/// handler's own first. Handlers of other kinds are named as in [`code!`].
///
/// [`Function`]: crate::runtime::Function
#[macro_export]
macro_rules! lambda {
    (stateless $handler:path) => {
        fn main() -> ::std::result::Result<(), $crate::runtime::Error> {
            $crate::runtime::run_stateless($handler)
        }
    };
    (after $first:path, $handler:path $(, $ready:ident $(($argument:expr))?)*) => {
        fn main() -> ::std::result::Result<(), $crate::runtime::Error> {
            $first();
            $crate::runtime::Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| {
                ::std::boxed::Box::pin($handler(app, ctx, request))
            })
            $(.$ready($($argument)?))*
            .run()
        }
    };
    (events $handler:path $(, $ready:ident $(($argument:expr))?)*) => {
        fn main() -> ::std::result::Result<(), $crate::runtime::Error> {
            $crate::runtime::Function::of_events(|app, invocation, event| {
                ::std::boxed::Box::pin($handler(app, invocation, event))
            })
            $(.$ready($($argument)?))*
            .run()
        }
    };
    ($handler:path $(, $ready:ident $(($argument:expr))?)*) => {
        fn main() -> ::std::result::Result<(), $crate::runtime::Error> {
            $crate::runtime::Function::of_requests(env!("CARGO_PKG_NAME"), |app, ctx, request| {
                ::std::boxed::Box::pin($handler(app, ctx, request))
            })
            $(.$ready($($argument)?))*
            .run()
        }
    };
}

/// The circumstances of an event.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The time of arrival.
    pub now: Timestamp,
    /// Lambda's identifier of the invocation.
    pub request_id: String,
}

/// A function of Latchkey, and what it prepares while its sandbox starts, because Lambda starts a sandbox at full CPU,
/// whatever the function's size.
pub struct Function<H> {
    handler: H,
    hashes: bool,
    verifies: bool,
    at_once: usize,
}

impl<H> Function<H> {
    fn new(handler: H) -> Self {
        Self { handler, hashes: false, verifies: false, at_once: 1 }
    }

    /// Prepares the memory for hashing, for a function that hashes passwords.
    #[must_use]
    pub fn hashing(self) -> Self {
        Self { hashes: true, ..self }
    }

    /// Reads the public keys, for a function that verifies access tokens.
    #[must_use]
    pub fn verifying(self) -> Self {
        Self { verifies: true, ..self }
    }

    /// Opens so many connections to DynamoDB and not one: as many as a request makes calls at once, because each needs one
    /// of its own (HTTP/1.1). 0 is for a function that reads nothing.
    #[must_use]
    pub fn at_once(self, at_once: usize) -> Self {
        Self { at_once, ..self }
    }

    fn start(&self) -> Result<(App, tokio::runtime::Runtime), Error> {
        start_logging();
        let hasher = if self.hashes { Hasher::new()?.warmed() } else { Hasher::new()? };
        let variables = environment();
        let config = Config::from_variables(&variables)?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let (environment, http) = (AwsEnvironment::from_variables(&variables)?, HttpsClients::new()?);
        let app = App::new(config, Clients::new(&environment, http.clone()), Arc::new(hasher), None)?;
        if self.at_once > 0 {
            app.store.prepare();
        }
        // One thread: a sandbox serves one request at a time.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let first = http.open_dynamodb(&environment, self.at_once.min(1));
        let others = async {
            if self.at_once > 1 {
                http.open_dynamodb(&environment, self.at_once).await;
            }
        };
        runtime.block_on(app.keyring.warm(self.verifies, wall_clock(), first, others));
        Ok((app, runtime))
    }
}

/// An endpoint: its name and its handler.
pub type Endpoint = (&'static str, Handler);

impl Function<Endpoint> {
    /// Returns a function that serves HTTP requests, with its name for audit events.
    pub fn of_requests(name: &'static str, handler: Handler) -> Self {
        Self::new((name, handler))
    }

    /// Serves API Gateway's requests until the sandbox ends.
    pub fn run(self) -> Result<(), Error> {
        let (app, runtime) = self.start()?;
        let serve = |event: lambda_http::Request| {
            let (request, context) = Request::from_lambda(event, wall_clock(), &app.config.edge);
            let (app, (name, handler)) = (&app, self.handler);
            async move { Ok::<_, Error>(respond(app, name, &context, handler(app, &context, request)).await) }
        };
        runtime.block_on(serve_requests(serve))
    }
}

impl Function<EventHandler> {
    /// Returns a function that serves events that are not HTTP requests.
    pub fn of_events(handler: EventHandler) -> Self {
        Self::new(handler)
    }

    /// Serves Lambda's events until the sandbox ends.
    pub fn run(self) -> Result<(), Error> {
        let (app, runtime) = self.start()?;
        let serve = |event: LambdaEvent<Value>| {
            let invocation = Invocation { now: wall_clock(), request_id: event.context.request_id };
            let (app, handler) = (&app, self.handler);
            async move { answer(&invocation, handler(app, &invocation, event.payload)).await }
        };
        runtime.block_on(lambda_runtime::run(service_fn(serve)))
    }
}

/// Runs a function on Lambda that has no state: no table, no keys, and no configuration but its edge.
pub fn run_stateless(handler: StatelessHandler) -> Result<(), Error> {
    start_logging();
    let variables = environment();
    let mut read = Variables::new(&variables);
    let edge = Edge::read(&mut read);
    let edge = read.finish(Some(edge))?;
    let serve = |event: lambda_http::Request| {
        let (request, context) = Request::from_lambda(event, wall_clock(), &edge);
        async move { Ok::<_, Error>(respond_stateless(&context, handler, &request).await) }
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve_requests(serve))
}

/// Serves the requests of an HTTP API until the sandbox ends. Lambda answers every other event with an error.
async fn serve_requests<F>(serve: impl FnMut(lambda_http::Request) -> F) -> Result<(), Error>
where
    F: Future<Output = Result<http::Response<Body>, Error>> + Send,
{
    let mut adapter = Adapter::from(service_fn(serve));
    let take = |event: LambdaEvent<HttpEvent>| adapter.call(LambdaEvent::new(event.payload.0, event.context));
    lambda_runtime::run(service_fn(take)).await
}

/// The functions that serve public documents: reading one is no authentication event.
const UNAUDITED: [&str; 3] = ["docs", "jwks", "openid-configuration"];

/// Responds to a request, whatever its handler does: an error, a panic or a missed deadline becomes a problem. Writes
/// the outcome into the audit log. A request past the front is refused before anything of it is read.
pub async fn respond(app: &App, function: &str, ctx: &Context, handling: HandlerFuture<'_>) -> http::Response<Body> {
    if ctx.is_past_front {
        // Nothing of ours happened; API Gateway's access log has the request.
        return into_lambda(ctx, Err(ApiError::PastFront));
    }
    let result = guard(&ctx.request_id, handling).await;
    if let Err(error) = &result {
        count_for_alarms(app, error, ctx.now);
    }
    if !UNAUDITED.contains(&function) {
        let (address, request_id) = (Some(ctx.source.to_string()), ctx.request_id.as_str());
        let of = Circumstances { event: function, now: ctx.now, address, operator: None, request_id };
        app.write_audit_event(&ctx.audit, of, result.as_ref().map_or_else(ApiError::outcome, |_| Outcome::SUCCESS));
    }
    into_lambda(ctx, result)
}

/// Counts an error that alarms watch. Lambda counts no error, because it sees a response; and API Gateway does not tell
/// one fault from another, nor one limit.
fn count_for_alarms(app: &App, error: &ApiError, now: Timestamp) {
    match error {
        ApiError::Internal(_) | ApiError::TemporarilyUnavailable(_) => {
            app.metrics.count(Metric::Faults, error.code(), now);
        }
        ApiError::TooManyRequests { bucket, .. } => {
            let metric = if bucket.is_lock() { Metric::LockOuts } else { Metric::LimitsReached };
            app.metrics.count(metric, bucket.as_str(), now);
        }
        _ => {}
    }
}

fn into_lambda(ctx: &Context, result: Result<Response, ApiError>) -> http::Response<Body> {
    let mut response = result.unwrap_or_else(|error| error.into_response(&ctx.request_id)).into_lambda();
    ctx.page.expose(response.headers_mut());
    response
}

/// Returns the result of an event. The invoker learns only the code of an error, and where it was logged.
pub async fn answer(invocation: &Invocation, handling: EventFuture<'_>) -> Result<Value, Error> {
    let result = guard(&invocation.request_id, handling).await;
    result.map_err(|error| format!("{}: see the log of request {}", error.code(), invocation.request_id).into())
}

/// Runs a handler to its end or its deadline. This is the one place that logs errors.
async fn guard<T>(request_id: &str, handling: BoxFuture<'_, Result<T, ApiError>>) -> Result<T, ApiError> {
    let guarded = tokio::time::timeout(DEADLINE, AssertUnwindSafe(handling).catch_unwind());
    let result = match guarded.await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(ApiError::Internal("the handler panicked".into())),
        Err(_elapsed) => Err(ApiError::TemporarilyUnavailable("the handler missed the deadline".into())),
    };
    result.inspect_err(|error| tracing::error_span!("request", id = request_id).in_scope(|| error.log()))
}

/// Responds to a request like [`respond`], by a handler without state. Writes no audit event.
pub async fn respond_stateless(ctx: &Context, handler: StatelessHandler, request: &Request) -> http::Response<Body> {
    if ctx.is_past_front {
        return into_lambda(ctx, Err(ApiError::PastFront));
    }
    into_lambda(ctx, guard(&ctx.request_id, Box::pin(async move { handler(ctx, request) })).await)
}

/// Starts logging in JSON lines, which CloudWatch can query, at the level of `RUST_LOG` or else `info`.
fn start_logging() {
    let lines = tracing_subscriber::fmt::layer().json().with_ansi(false).without_time();
    let filter = log_filter(environment().get("RUST_LOG").map(String::as_str), LevelFilter::INFO);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

/// Returns the filter of the log: by `RUST_LOG`, or by the level `otherwise` if it is not set.
///
/// Whatever `RUST_LOG` says, the libraries below us log nothing at `debug` and `trace`, because they would write whole
/// events, requests and responses, with passwords, codes and tokens in them (RUSTSEC-2023-0125 and its like).
pub fn log_filter<S>(rust_log: Option<&str>, otherwise: LevelFilter) -> impl Filter<S> + use<S> {
    let asked = rust_log.and_then(|text| text.parse().ok()).unwrap_or_else(|| Targets::new().with_default(otherwise));
    let without_details = filter_fn(|metadata| {
        let is_ours = ["latchkey", "local"].iter().any(|ours| metadata.target().split("::").next() == Some(ours));
        is_ours || *metadata.level() <= Level::INFO
    });
    asked.and(without_details)
}

fn environment() -> HashMap<String, String> {
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read, once")]
    std::env::vars().collect()
}

fn wall_clock() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is where the wall clock is read, once per request")]
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
