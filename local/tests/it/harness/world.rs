//! A world: gateway, table, secrets, clock and outbox, for one test alone.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock},
    time::Duration,
};

use http::{HeaderValue, Method, header};
use latchkey::{
    app::Witness,
    base::time::Timestamp,
    domain::password::Hasher,
    messages::Outbox,
    tokens::{
        key_schedule::{KeySchedule, NewKey},
        keys::{SigningAlgorithm, SigningKey},
    },
};
use local::{
    clock::Clock,
    emulator::Emulator,
    gateway::{Gateway, Setup},
    rotation,
    secrets::Secrets,
};
use serde_json::{Value, json};

use super::{Authenticator, PHONE, Person, Reply, Request, TEMPLATE, rsa};
use crate::{
    invariants::TableWatch,
    log_watch::{LogWatch, WatchedLines},
};

/// When every world begins.
const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// The name that events give the API, unless a test says otherwise.
const DOMAIN_NAME: &str = "latchkey.test";

/// The first signing key of every world, as its rotation would have made it.
static KEYS: LazyLock<KeySchedule> = LazyLock::new(|| {
    let key = NewKey { algorithm: SigningAlgorithm::Es256, private_key: SigningKey::generate_es256().unwrap() };
    KeySchedule::default().with(key, 1, START).unwrap()
});

/// A whole system. A clone is the same system.
#[derive(Clone)]
pub(crate) struct World {
    gateway: Arc<Gateway>,
    /// The AWS services, and what can be made to go wrong with them.
    pub(crate) emulator: Emulator,
    /// The messages that were sent.
    pub(crate) outbox: Outbox,
    pub(crate) metrics: WatchedLines,
    pub(crate) audit_log: WatchedLines,
    pub(crate) clock: Clock,
    hasher: Arc<Hasher>,
    witness: Witness,
    log: Arc<LogWatch>,
    pub(super) table: Arc<TableWatch>,
    settings: Arc<Settings>,
}

/// What a world was made with.
struct Settings {
    domain_name: String,
    variables: HashMap<String, String>,
    has_full_hashes: bool,
}

impl Settings {
    fn of(domain_name: &str, variables: &[(&str, &str)], has_full_hashes: bool) -> Arc<Self> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Arc::new(Self { domain_name: domain_name.to_owned(), variables, has_full_hashes })
    }

    #[expect(clippy::disallowed_methods, reason = "a password of a test is worth nothing")]
    fn hasher(&self) -> Arc<Hasher> {
        let hasher = if self.has_full_hashes { Hasher::new() } else { Hasher::for_tests() };
        Arc::new(hasher.unwrap())
    }
}

impl World {
    /// With the template's own configuration.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With some variables set otherwise.
    pub(crate) fn with(variables: &[(&str, &str)]) -> Self {
        Self::at(DOMAIN_NAME, variables)
    }

    /// With an API that events name so.
    pub(crate) fn at(domain_name: &str, variables: &[(&str, &str)]) -> Self {
        Self::bare(Settings::of(domain_name, variables, false)).with_first_key()
    }

    /// With password hashes as programs make them. Those of other worlds cost next to nothing.
    pub(crate) fn with_full_hashes() -> Self {
        Self::bare(Settings::of(DOMAIN_NAME, &[], true)).with_first_key()
    }

    /// As a stack is before its first rotation.
    pub(crate) fn without_keys(variables: &[(&str, &str)]) -> Self {
        Self::bare(Settings::of(DOMAIN_NAME, variables, false))
    }

    fn bare(settings: Arc<Settings>) -> Self {
        let emulator = Emulator::in_memory(&TEMPLATE.table, Secrets::in_memory(&TEMPLATE).unwrap()).unwrap();
        Self::of(settings, emulator, Outbox::default(), START)
    }

    fn with_first_key(self) -> Self {
        let put = json!({
            "SecretId": "SigningKeys",
            "ClientRequestToken": "first",
            "SecretString": KEYS.to_json().unwrap().as_str(),
        });
        assert_eq!(self.emulator.secrets().answer("PutSecretValue", &put.to_string()).0, 200);
        let keys = serde_json::to_string(&KEYS.key_set().keys).unwrap();
        self.write_item(&json!({
            "pk": {"S": "KEYS"}, "sk": {"S": "JWKS"}, "generation": {"N": "1"}, "public_keys": {"S": keys},
        }));
        self
    }

    fn of(settings: Arc<Settings>, emulator: Emulator, outbox: Outbox, now: Timestamp) -> Self {
        let (witness, clock) = (Witness { outbox, ..Witness::default() }, Clock::manual(now));
        let hasher = settings.hasher();
        let gateway = gateway(&settings, &emulator, hasher.clone(), witness.clone(), clock.clone());
        let Witness { outbox, metrics, audit_log } = witness.clone();
        let (metrics, audit_log) = (WatchedLines::of(metrics), WatchedLines::of(audit_log));
        let log = Arc::new(LogWatch::begin(outbox.clone(), [metrics.clone(), audit_log.clone()]));
        let table = Arc::new(TableWatch::begin(emulator.clone(), log.clone()));
        Self { gateway, emulator, outbox, metrics, audit_log, clock, hasher, witness, log, table, settings }
    }

    /// Another system in the same state, which goes its own way from now on. Its sandboxes are new: those of the functions
    /// `warm` have read their keys so many seconds ago, and the others have read nothing.
    pub(crate) async fn copy(&self, warm: &BTreeSet<String>, seconds: u64) -> Self {
        let emulator = self.emulator.copy(&TEMPLATE.table).unwrap();
        let read_at = self.clock.now().minus(Duration::from_secs(seconds));
        let copy = Self::of(self.settings.clone(), emulator, self.outbox.copy(), read_at);
        copy.gateway.warm_some(|name| warm.contains(name)).await;
        copy.emulator.calls().take();
        copy.advance(seconds);
        copy.log.learn_all(&self.log);
        if self.table.was_tampered_with() {
            copy.table.tampered_with();
        }
        copy
    }

    /// An authenticator that was told this secret.
    pub(crate) fn authenticator(&self, secret: &str) -> Authenticator {
        Authenticator::new(secret, self.clock.clone())
    }

    /// The same system as other instances of the functions see it, whose clock is so many seconds behind.
    pub(crate) fn with_clock_behind(&self, seconds: u64) -> Self {
        let clock = Clock::manual(self.clock.now().minus(Duration::from_secs(seconds)));
        let settings = Settings::of(DOMAIN_NAME, &[], self.settings.has_full_hashes);
        let gateway = gateway(&settings, &self.emulator, self.hasher.clone(), self.witness.clone(), clock.clone());
        Self { gateway, clock, ..self.clone() }
    }

    /// The same system with other sandboxes, which have read nothing yet. `variables` are as in [`Self::with`].
    pub(crate) fn with_other_sandboxes(&self, variables: &[(&str, &str)]) -> Self {
        let witness = Witness { outbox: self.outbox.clone(), ..Witness::default() };
        let settings = Settings::of(DOMAIN_NAME, variables, self.settings.has_full_hashes);
        let gateway = gateway(&settings, &self.emulator, self.hasher.clone(), witness, self.clock.clone());
        Self { gateway, ..self.clone() }
    }

    /// With functions that have read their keys already.
    pub(crate) async fn warm(self) -> Self {
        self.gateway.warm().await;
        self.emulator.calls().take();
        self
    }

    /// Somebody with this phone and without an account, from anywhere.
    pub(crate) fn visitor(&self, phone: &str) -> Person {
        Person::new(self, phone)
    }

    /// Somebody with an account, who has not signed in yet.
    pub(crate) async fn person(&self) -> Person {
        self.person_with_phone(PHONE).await
    }

    /// Somebody else with an account.
    pub(crate) async fn person_with_phone(&self, phone: &str) -> Person {
        self.visitor(phone).registered().await
    }

    /// Somebody with an account and a session.
    pub(crate) async fn signed_in_person(&self) -> Person {
        self.person().await.signed_in().await
    }

    /// Somebody who has signed up by a code, and has no password.
    pub(crate) async fn person_by_code(&self) -> Person {
        let person = self.visitor(PHONE).without_password();
        person.sign_in_by_code().await;
        person
    }

    /// Somebody with an account, a second factor, and the session that switched it on.
    pub(crate) async fn person_with_factor(&self) -> Person {
        let person = self.signed_in_person().await;
        person.switch_factor_on().await;
        person
    }

    /// Somebody who holds this access token, and nothing else.
    pub(crate) fn bearer(&self, token: &str) -> Person {
        self.visitor(PHONE).bearing(token)
    }

    /// Sends a request on nobody's behalf.
    pub(crate) async fn send(&self, request: Request) -> Reply {
        let Request { method, path, headers, body, source } = request;
        if let Ok(body) = serde_json::from_slice(&body) {
            self.log.learn(&body);
        }
        if let Some(Ok(authorization)) = headers.get(header::AUTHORIZATION).map(HeaderValue::to_str) {
            self.log.learn_token(authorization);
        }
        let mut http = http::Request::new(body);
        *http.method_mut() = method;
        *http.uri_mut() = path.parse().unwrap();
        *http.headers_mut() = headers;
        let answer = self.gateway.handle(http, source).await;
        let (parts, bytes) = answer.response.into_parts();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        self.log.learn(&body);
        Reply { status: parts.status.as_u16(), headers: parts.headers, body, bytes, function: answer.function }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Request::post(path, body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Request::new(Method::GET, path)).await
    }

    /// Invokes a function without a route.
    pub(crate) async fn invoke(&self, function: &str, event: Value) -> Result<Value, String> {
        self.gateway.invoke(function, event).await
    }

    /// Rotates the signing keys, as Secrets Manager does.
    pub(crate) async fn rotate_keys(&self) -> Result<(), String> {
        self.rotate("SigningKeys").await
    }

    /// Adds a key to the master secret, as Secrets Manager does.
    pub(crate) async fn rotate_secret(&self) -> Result<(), String> {
        self.rotate("SecretKey").await
    }

    async fn rotate(&self, secret: &str) -> Result<(), String> {
        let rotation = TEMPLATE.rotations.iter().find(|rotation| rotation.secret == secret).unwrap();
        rotation::rotate(&self.gateway, self.emulator.secrets(), rotation, &self.clock).await
    }

    /// The published keys, as everybody reads them.
    pub(crate) async fn jwks(&self) -> Vec<Value> {
        let body = self.get("/.well-known/jwks.json").await.expect(200).body;
        body["keys"].as_array().unwrap().clone()
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// How many argon2 hashes were computed so far.
    pub(crate) fn hashes(&self) -> usize {
        self.hasher.computed()
    }

    /// How many rounds of bcrypt were computed so far.
    pub(crate) fn bcrypt_rounds(&self) -> u64 {
        self.hasher.bcrypt_rounds()
    }
}

fn gateway(
    settings: &Settings,
    emulator: &Emulator,
    hasher: Arc<Hasher>,
    witness: Witness,
    clock: Clock,
) -> Arc<Gateway> {
    let setup = Setup {
        template: &TEMPLATE,
        code: rsa::code,
        emulator,
        overrides: &settings.variables,
        hasher,
        witness,
        clock,
        domain_name: settings.domain_name.clone(),
    };
    Arc::new(Gateway::on_demand(setup).unwrap_or_else(|error| panic!("{error}")))
}
