//! The edge of the process: the only place that reads the environment and the wall clock and speaks to the Lambda runtime.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{FutureExt, future::BoxFuture};
use lambda_http::{Body, service_fn};
use tracing::Level;
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, LevelFilter, Targets, filter_fn},
    layer::{Filter, SubscriberExt},
    util::SubscriberInitExt,
};

use crate::{
    app::App,
    aws::{self, AwsEnvironment},
    config::Config,
    context::Context,
    error::ApiError,
    http::{Request, Response},
    password::Hasher,
    sms::Sms,
    time::Timestamp,
};

pub use lambda_http::Error;

/// A request's whole time: under Lambda's 10 s, so that the client gets an answer (SECURITY 5.2).
const DEADLINE: Duration = Duration::from_secs(8);

/// A handler as the runtime calls it.
pub type Handler = for<'a> fn(&'a App, &'a Context, Request) -> HandlerFuture<'a>;

/// A handler that needs nothing but the request, and so waits for nothing.
pub type StatelessHandler = fn(&Context, &Request) -> Result<Response, ApiError>;

/// What a handler returns.
pub type HandlerFuture<'a> = BoxFuture<'a, Result<Response, ApiError>>;

/// Runs a function on Lambda until the sandbox ends.
pub fn run(handler: Handler) -> Result<(), Error> {
    run_with(Hasher::new()?, handler)
}

/// [`run`] for a function that hashes passwords: the memory for it is made ready while the sandbox starts, which is at
/// full CPU whatever the function's size.
pub fn run_hashing(handler: Handler) -> Result<(), Error> {
    run_with(Hasher::new()?.warmed(), handler)
}

fn run_with(hasher: Hasher, handler: Handler) -> Result<(), Error> {
    start_logging();
    let variables = environment();
    let config = Config::from_variables(&variables)?;
    let dynamodb = aws::dynamodb_client(&AwsEnvironment::from_variables(&variables)?, aws::https_client()?);
    let app = App::new(config, dynamodb, Arc::new(hasher), Sms::Log);
    block_on(async {
        let serve = |event: lambda_http::Request| {
            let (request, context) = Request::from_lambda(event, wall_clock());
            let app = &app;
            async move { Ok::<_, Error>(respond(&context, handler(app, &context, request)).await) }
        };
        lambda_http::run(service_fn(serve)).await
    })
}

/// Runs a function on Lambda that has no state: no table, no keys, no configuration.
pub fn run_stateless(handler: StatelessHandler) -> Result<(), Error> {
    start_logging();
    block_on(async {
        let serve = |event: lambda_http::Request| {
            let (request, context) = Request::from_lambda(event, wall_clock());
            async move { Ok::<_, Error>(respond_stateless(&context, handler, &request).await) }
        };
        lambda_http::run(service_fn(serve)).await
    })
}

/// Answers a request, whatever its handler does: an error becomes a problem, and so do a panic and a missed deadline.
/// The one place where errors are logged.
pub async fn respond(ctx: &Context, handling: HandlerFuture<'_>) -> http::Response<Body> {
    let guarded = tokio::time::timeout(DEADLINE, AssertUnwindSafe(handling).catch_unwind());
    let result = match guarded.await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(ApiError::Internal("the handler panicked".into())),
        Err(_elapsed) => Err(ApiError::TemporarilyUnavailable("the deadline passed".into())),
    };
    let response = result.unwrap_or_else(|error| {
        let span = tracing::error_span!("request", id = ctx.request_id);
        span.in_scope(|| error.log());
        error.into_response(&ctx.request_id)
    });
    response.into_lambda()
}

/// [`respond`] for a handler without state.
pub async fn respond_stateless(ctx: &Context, handler: StatelessHandler, request: &Request) -> http::Response<Body> {
    respond(ctx, Box::pin(async move { handler(ctx, request) })).await
}

/// One thread: a sandbox serves one request at a time.
fn block_on<T>(serving: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serving)
}

/// JSON lines, as CloudWatch reads them; `RUST_LOG` says how many, `info` when it says nothing.
fn start_logging() {
    let lines = tracing_subscriber::fmt::layer().json().with_ansi(false).without_time();
    let filter = log_filter(environment().get("RUST_LOG").map(String::as_str), LevelFilter::INFO);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

/// What is logged: what `RUST_LOG` asks for, or everything of this level.
///
/// Whatever it asks for, the libraries below us log no details: at `debug` and `trace` they write whole events, requests
/// and answers, with passwords, codes and tokens in them (RUSTSEC-2023-0125 and its like).
pub fn log_filter<S>(rust_log: Option<&str>, otherwise: LevelFilter) -> impl Filter<S> + use<S> {
    let asked = rust_log.and_then(|text| text.parse().ok()).unwrap_or_else(|| Targets::new().with_default(otherwise));
    let without_details = filter_fn(|metadata| {
        let is_ours = ["shared", "local"].iter().any(|ours| metadata.target().split("::").next() == Some(ours));
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
