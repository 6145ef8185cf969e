//! Emulates API Gateway and Lambda. A request finds its function by the template's routes, becomes a real event, and
//! reaches the handler through `lambda_http`'s own deserializer. Functions without a route are invoked by name.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use http::HeaderMap;
use lambda_http::Body;
use latchkey::{
    ApiError, App, Context, Request,
    app::Witness,
    base::{fault::Source, front::Edge, variables::Variables},
    config::{Config, ConfigErrors},
    domain::password::Hasher,
    http::cors::Page,
    messages::check_credentials,
    runtime::{Code, Invocation, answer, respond, respond_stateless},
    tokens::keys::SigningAlgorithm,
};
use matchit::Router;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    clock::Clock,
    emulator::Emulator,
    event::{self, Arrival},
    registry,
    template::{Function, Template},
};

/// The key of the route that requests without another one take.
const DEFAULT_ROUTE: &str = "$default";

/// The parts of a gateway.
pub struct Setup<'a> {
    /// The template: routes, environment and permissions.
    pub template: &'a Template,
    /// The code of each function, by its name. That of `cargo run` is [`registry::code`].
    pub code: fn(&str) -> Option<Code>,
    /// The emulated AWS services.
    pub emulator: &'a Emulator,
    /// Variables that override the template's, for every function that has them.
    pub overrides: &'a HashMap<String, String>,
    /// The password hasher that all functions share.
    pub hasher: Arc<Hasher>,
    /// The receiver of counts, and of messages that would only be logged.
    pub witness: Witness,
    /// The source of the time.
    pub clock: Clock,
    /// The host and port that requests are sent to, which API Gateway calls the domain name.
    pub domain_name: String,
}

/// A reason for which a gateway cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The template names a function that is not in the registry.
    #[error("template.yaml: {0} has no handler; functions/docs/src/endpoints.rs lists them")]
    NoHandler(String),
    /// Two functions have the same route, or a route is malformed.
    #[error("template.yaml: the route {0} cannot be served: {1}")]
    BadRoute(String, String),
    /// The functions' environment is wrong, or variables are overridden that no function has.
    #[error("{}", lines(.0))]
    Config(ConfigErrors),
    /// No function, or more than one, gets the requests that match no route.
    #[error("template.yaml: one function must have the route $default")]
    NoDefault,
    /// A function's parts cannot be created.
    #[error("{0} cannot start: {1}")]
    App(String, Source),
}

/// Returns a single mistake as a sentence, and several as a line each.
fn lines(mistakes: &ConfigErrors) -> String {
    match mistakes.sentences()[..] {
        [mistake] => mistake.to_owned(),
        ref mistakes => format!("{} variables are wrong:\n  {}", mistakes.len(), mistakes.join("\n  ")),
    }
}

/// The template's API and functions, ready to serve.
pub struct Gateway {
    functions: BTreeMap<String, Arc<LocalFunction>>,
    routes: Router<Vec<Endpoint>>,
    /// The function that gets the requests that match no route.
    unmatched: Arc<LocalFunction>,
    clock: Clock,
    domain_name: String,
}

/// A method of a path, and its function.
struct Endpoint {
    method: String,
    route_key: String,
    function: Arc<LocalFunction>,
}

/// A function, started when it is first needed.
struct LocalFunction {
    function: Arc<Function>,
    parts: Arc<Parts>,
    started: OnceLock<Result<Started, SetupError>>,
}

/// What the functions of a gateway share.
struct Parts {
    code: fn(&str) -> Option<Code>,
    emulator: Emulator,
    overrides: HashMap<String, String>,
    hasher: Arc<Hasher>,
    witness: Witness,
}

/// A function that has read its settings.
struct Started {
    /// The pages that may call it, and the front that it believes.
    edge: Edge,
    run: Run,
}

enum Run {
    Stateful(latchkey::runtime::Handler, Box<App>),
    Event(latchkey::runtime::EventHandler, Box<App>),
    Stateless(latchkey::runtime::StatelessHandler),
}

/// A response, and the function that gave it.
pub struct Answer {
    /// The HTTP response.
    pub response: http::Response<Vec<u8>>,
    /// The function that gave the response; `None` if it was the gateway itself.
    pub function: Option<String>,
}

impl Gateway {
    /// Sets the functions up, each with its own environment and permissions.
    pub fn new(setup: Setup<'_>) -> Result<Self, SetupError> {
        let (template, mut mistakes) = (setup.template, refused_overrides(&setup));
        let gateway = Self::unstarted(setup)?;
        for function in template.functions.iter().filter_map(|function| gateway.functions.get(&function.name)) {
            match function.start() {
                Ok(started) => {
                    let _ = function.started.set(Ok(started));
                }
                // The next functions have other variables, whose mistakes are reported with these.
                Err(SetupError::Config(found)) => mistakes.extend(found),
                Err(error) => return Err(error),
            }
        }
        if mistakes.is_empty() { Ok(gateway) } else { Err(SetupError::Config(mistakes)) }
    }

    /// Sets a gateway up whose functions each read their settings when they are first called, and fail then if these are
    /// wrong. A test needs few of them.
    pub fn on_demand(setup: Setup<'_>) -> Result<Self, SetupError> {
        let mistakes = refused_overrides(&setup);
        if mistakes.is_empty() { Self::unstarted(setup) } else { Err(SetupError::Config(mistakes)) }
    }

    fn unstarted(setup: Setup<'_>) -> Result<Self, SetupError> {
        let Setup { template, code, emulator, overrides, hasher, witness, clock, domain_name } = setup;
        let (emulator, overrides) = (emulator.clone(), overrides.clone());
        let parts = Arc::new(Parts { code, emulator, overrides, hasher, witness });
        let mut endpoints: BTreeMap<&str, Vec<Endpoint>> = BTreeMap::new();
        let (mut all, mut unmatched) = (BTreeMap::new(), Vec::new());
        for function in &template.functions {
            let (parts, started) = (parts.clone(), OnceLock::new());
            let local = Arc::new(LocalFunction { function: function.clone(), parts, started });
            all.insert(function.name.clone(), local.clone());
            if function.is_default {
                unmatched.push(local.clone());
            }
            for route in &function.routes {
                endpoints.entry(&route.path).or_default().push(Endpoint {
                    method: route.method.clone(),
                    route_key: format!("{} {}", route.method, route.path),
                    function: local.clone(),
                });
            }
        }
        let mut routes = Router::new();
        for (path, endpoints) in endpoints {
            routes.insert(path, endpoints).map_err(|why| SetupError::BadRoute(path.to_owned(), why.to_string()))?;
        }
        let [unmatched] = &unmatched[..] else { return Err(SetupError::NoDefault) };
        let unmatched = unmatched.clone();
        Ok(Self { functions: all, routes, unmatched, clock, domain_name })
    }

    /// Returns what is allowed in the functions' settings, but probably not what was meant.
    pub fn warnings(&self) -> BTreeSet<&str> {
        self.apps().flat_map(|app| app.config.warnings.iter().map(String::as_str)).collect()
    }

    /// Checks that the provider of text messages can use these credentials, before the first message needs them.
    pub fn check_sms_credentials(&self, credentials: Option<&str>) -> Result<(), String> {
        for provider in self.apps().map(|app| app.config.sms.provider) {
            match credentials {
                Some(credentials) => check_credentials(provider, credentials),
                None if provider.needs_credentials() => Err("must be set, as docs/sms.md describes".to_owned()),
                None => Ok(()),
            }
            .map_err(|why| format!("SMS_CREDENTIALS: {why}"))?;
        }
        Ok(())
    }

    /// Checks that this build can generate keys for the algorithm of new ones, before a rotation needs one.
    pub fn check_signing_algorithm(&self) -> Result<(), String> {
        let needs_rsa = self.apps().any(|app| app.config.keys.algorithm == SigningAlgorithm::Rs256);
        if needs_rsa && !registry::HAS_RSA {
            return Err("SIGNING_ALGORITHM=RS256: needs what generates RSA keys, which takes a tenth of the build; \
                        start with `cargo run --features rsa`"
                .to_owned());
        }
        Ok(())
    }

    /// Returns the parts of every function that has any.
    fn apps(&self) -> impl Iterator<Item = &App> {
        self.functions.values().filter_map(|function| function.started().ok()?.app())
    }

    /// Reads the keys that functions need, as functions do while their sandboxes start.
    pub async fn warm(&self) {
        self.warm_some(|_| true).await;
    }

    /// Does so for some functions, by their names.
    pub async fn warm_some(&self, is_one: impl Fn(&str) -> bool) {
        for (_, function) in self.functions.iter().filter(|(name, _)| is_one(name)) {
            if let Some(app) = function.started().ok().and_then(Started::app) {
                app.keyring.warm(true, self.clock.now(), async {}, async {}).await;
            }
        }
    }

    /// Invokes a function as `lambda:InvokeFunction` does. If it fails, returns the reason.
    pub async fn invoke(&self, name: &str, event: Value) -> Result<Value, String> {
        let not_one = || format!("{name} is not a function that takes events");
        let function = self.functions.get(name).ok_or_else(not_one)?;
        let Run::Event(handler, app) = &function.started().map_err(ToString::to_string)?.run else {
            return Err(not_one());
        };
        let invocation = Invocation { now: self.clock.now(), request_id: Uuid::new_v4().to_string() };
        let answer = answer(&invocation, handler(app, &invocation, event)).await;
        answer.map_err(|error| error.to_string())
    }

    /// Responds to a request from this address.
    pub async fn handle(&self, request: http::Request<Vec<u8>>, source: IpAddr) -> Answer {
        let (parts, body) = request.into_parts();
        let now = self.clock.now();
        let request_id = Uuid::new_v4().to_string();

        let found = self.routes.at(parts.uri.path()).ok().and_then(|found| {
            let endpoint = found.value.iter().find(|endpoint| endpoint.method == parts.method.as_str())?;
            Some((endpoint.route_key.as_str(), &endpoint.function, found.params.iter().collect()))
        });
        let (route_key, function, path_parameters) =
            found.unwrap_or_else(|| (DEFAULT_ROUTE, &self.unmatched, BTreeMap::new()));

        let arrival = Arrival {
            route_key,
            path_parameters,
            domain_name: &self.domain_name,
            source_ip: &source.to_string(),
            request_id: &request_id,
            now,
        };
        let event = event::of(&parts, &body, &arrival).to_string();
        let name = &function.function.name;
        let response = match (latchkey::http::event::read(&event), function.started()) {
            (Ok(request), Ok(started)) => {
                let (request, context) = Request::from_lambda(request, now, &started.edge);
                started.respond(name, &context, request).await
            }
            (Err(error), _) => failed(error.into(), &request_id),
            (_, Err(error)) => failed(error.to_string().into(), &request_id),
        };
        Answer { response: plain(response), function: Some(name.clone()) }
    }

    /// Lets the page that sent a request read a response of the server itself.
    pub fn expose(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if let Ok(started) = self.unmatched.started() {
            Page::judge(request, &started.edge.origins).expose(response);
        }
    }
}

/// Returns whether a variable of the template is a name or an address of what AWS has and the dev server embeds, which has
/// those of the template.
pub(crate) fn is_of_aws(variable: &str) -> bool {
    variable == "TABLE_NAME" || variable.starts_with("AWS_") || variable.ends_with("_ARN")
}

/// Returns a mistake for each overridden variable that no function has, or that may not be another one.
fn refused_overrides(setup: &Setup<'_>) -> ConfigErrors {
    let mut mistakes = ConfigErrors::default();
    if setup.overrides.is_empty() {
        return mistakes;
    }
    let names = setup.template.functions.iter().flat_map(|function| function.environment.keys());
    let known: BTreeSet<&str> = names.map(String::as_str).filter(|name| !is_of_aws(name)).collect();
    let refused: BTreeSet<&str> =
        setup.overrides.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
    for name in refused {
        mistakes.add(name, format!("{}: {}", name.escape_debug(), why_refused(name, &known)));
    }
    mistakes
}

/// Says why a variable cannot be overridden that is none of the known ones, and what to do.
fn why_refused(name: &str, known: &BTreeSet<&str>) -> String {
    match name {
        "PORT" | "HOST" => {
            let option = name.to_ascii_lowercase();
            format!("is the server's own and no variable of a function; set it with --{option}")
        }
        "SMS_CREDENTIALS_ARN" => "cannot be overridden: set SMS_CREDENTIALS to the credentials themselves".to_owned(),
        _ if is_of_aws(name) => {
            "cannot be overridden: table and secrets are embedded here, and nothing is sent to AWS".to_owned()
        }
        _ => match closest(name, known) {
            Some(similar) => format!("no function has this variable; did you mean {similar}?"),
            None => "no function has this variable; docs/configuration.md lists those that exist".to_owned(),
        },
    }
}

/// Returns the known name that is most like this one, if one is.
fn closest<'a>(name: &str, known: &BTreeSet<&'a str>) -> Option<&'a str> {
    let name = name.to_uppercase();
    let named = known.iter().copied().chain(["SMS_CREDENTIALS"]);
    let rated = named.map(|candidate| (strsim::jaro_winkler(&name, candidate), candidate));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(similarity, _)| *similarity >= 0.85).map(|(_, candidate)| candidate)
}

impl LocalFunction {
    /// Returns the function with its settings, which it reads now if it has not yet.
    fn started(&self) -> Result<&Started, &SetupError> {
        self.started.get_or_init(|| self.start()).as_ref()
    }

    fn start(&self) -> Result<Started, SetupError> {
        let Self { function, parts, .. } = self;
        let variables = self.environment();
        match (parts.code)(&function.name) {
            None => Err(SetupError::NoHandler(function.name.clone())),
            Some(Code::Stateless(handler)) => {
                let mut read = Variables::new(&variables);
                let edge = Edge::read(&mut read);
                Ok(Started { edge: read.finish(Some(edge)).map_err(SetupError::Config)?, run: Run::Stateless(handler) })
            }
            Some(code @ (Code::Stateful(_) | Code::Event(_))) => {
                let config = Config::from_variables(&variables).map_err(SetupError::Config)?;
                let edge = config.edge.clone();
                let clients = parts.emulator.clients_for(function);
                let app = App::new(config, clients, parts.hasher.clone(), Some(parts.witness.clone()));
                let app = Box::new(app.map_err(|error| SetupError::App(function.name.clone(), error))?);
                let run = match code {
                    Code::Event(handler) => Run::Event(handler, app),
                    Code::Stateful(handler) => Run::Stateful(handler, app),
                    Code::Stateless(handler) => Run::Stateless(handler),
                };
                Ok(Started { edge, run })
            }
        }
    }

    /// Returns the function's environment: the template's, with the overrides of the variables that it has.
    fn environment(&self) -> HashMap<String, String> {
        let mut variables: HashMap<String, String> = self.function.environment.clone().into_iter().collect();
        for (variable, value) in &self.parts.overrides {
            variables.entry(variable.clone()).and_modify(|current| current.clone_from(value));
        }
        variables
    }
}

impl Started {
    /// Returns the parts of the function, if it has any.
    fn app(&self) -> Option<&App> {
        match &self.run {
            Run::Stateful(_, app) | Run::Event(_, app) => Some(app),
            Run::Stateless(_) => None,
        }
    }

    async fn respond(&self, name: &str, context: &Context, request: Request) -> http::Response<Body> {
        match &self.run {
            Run::Stateful(handler, app) => respond(app, name, context, handler(app, context, request)).await,
            Run::Stateless(handler) => respond_stateless(context, *handler, &request).await,
            // The template gives functions that take events no route.
            Run::Event(..) => ApiError::NotFound.into_response(&context.request_id).into_lambda(),
        }
    }
}

/// Returns the response to a request that reached no handler.
fn failed(why: Source, request_id: &str) -> http::Response<Body> {
    let error = ApiError::Internal(why);
    error.log();
    error.into_response(request_id).into_lambda()
}

/// Returns the response as API Gateway gets it: its body as bytes and, of each header, the first value, because
/// `lambda_http` sends no other.
fn plain(response: http::Response<Body>) -> http::Response<Vec<u8>> {
    let mut response = response.map(|body| body.to_vec());
    let headers = response.headers_mut();
    let firsts = headers.keys().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect();
    *headers = firsts;
    response
}
