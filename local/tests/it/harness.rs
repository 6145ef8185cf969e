//! A world of its own for every test: gateway, table, clock and outbox.

use std::{collections::HashMap, net::IpAddr, path::PathBuf, sync::LazyLock, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use latchkey::{
    app::Witness,
    base::time::Timestamp,
    messages::Outbox,
    tokens::{
        key_schedule::{KeySchedule, NewKey},
        keys::{SigningAlgorithm, SigningKey},
    },
};
use local::{
    clock::Clock,
    emulator::{Call, Emulator, Target},
    gateway::{Gateway, Setup},
    rotation,
    secrets::Secrets,
    template::Template,
};
use ring::hmac;
use serde_json::{Value, json};

use crate::log_watch::{LogWatch, WatchedLines};

/// The origin's example phone, and what it is in E.164.
pub(crate) const PHONE: &str = "01012345678";
pub(crate) const E164: &str = "+201012345678";
/// Another one.
pub(crate) const OTHER_PHONE: &str = "01112345678";
/// The origin's example passwords.
pub(crate) const PASSWORD: &str = "mypassword";
pub(crate) const NEW_PASSWORD: &str = "newPass123";
pub(crate) const RESET_PASSWORD: &str = "newPass456";

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of the workspace.
pub(crate) fn file(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `template.yaml`, read once.
pub(crate) static TEMPLATE: LazyLock<Template> =
    LazyLock::new(|| Template::load(&root().join("template.yaml")).unwrap().with_api_url(ISSUER));

/// Where the API answers, in every world.
pub(crate) const ISSUER: &str = "https://latchkey.test";
/// The audience of its tokens.
pub(crate) const AUDIENCE: &str = "latchkey";

/// When every world begins.
const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// The first signing key of every world, as its rotation would have made it.
static KEYS: LazyLock<KeySchedule> = LazyLock::new(|| {
    let key = NewKey { algorithm: SigningAlgorithm::Es256, private_key: SigningKey::generate_es256().unwrap() };
    KeySchedule::default().with(key, 1, START).unwrap()
});

/// Everything that a test talks to.
pub(crate) struct World {
    gateway: Gateway,
    pub(crate) emulator: Emulator,
    pub(crate) outbox: Outbox,
    pub(crate) metrics: WatchedLines,
    pub(crate) audit_log: WatchedLines,
    pub(crate) clock: Clock,
    log: LogWatch,
}

impl World {
    /// With the template's own configuration.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With some variables set otherwise.
    pub(crate) fn with(variables: &[(&str, &str)]) -> Self {
        let world = Self::without_keys(variables);
        let put = json!({
            "SecretId": "SigningKeys",
            "ClientRequestToken": "first",
            "SecretString": KEYS.to_json().unwrap().as_str(),
        });
        assert_eq!(world.emulator.secrets().answer("PutSecretValue", &put.to_string()).0, 200);
        let keys = serde_json::to_string(&KEYS.key_set().keys).unwrap();
        world.put_item(&json!({
            "pk": {"S": "KEYS"}, "sk": {"S": "JWKS"}, "generation": {"N": "1"}, "public_keys": {"S": keys},
        }));
        world
    }

    /// As a stack is before its first rotation.
    pub(crate) fn without_keys(variables: &[(&str, &str)]) -> Self {
        let emulator = Emulator::in_memory(&TEMPLATE.table, Secrets::in_memory(&TEMPLATE).unwrap()).unwrap();
        let (witness, clock) = (Witness::default(), Clock::manual(START));
        let overrides: HashMap<_, _> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let setup = Setup {
            template: &TEMPLATE,
            emulator: &emulator,
            overrides: &overrides,
            witness: witness.clone(),
            clock: clock.clone(),
            domain_name: "latchkey.test".to_owned(),
        };
        let gateway = Gateway::new(setup).unwrap_or_else(|error| panic!("{error}"));
        let Witness { outbox, metrics, audit_log } = witness;
        let (metrics, audit_log) = (WatchedLines::of(metrics), WatchedLines::of(audit_log));
        let log = LogWatch::begin(outbox.clone(), [metrics.clone(), audit_log.clone()]);
        Self { gateway, emulator, outbox, metrics, audit_log, clock, log }
    }

    /// With functions that have read their keys already.
    pub(crate) async fn warm(self) -> Self {
        self.gateway.warm().await;
        self.emulator.calls().take();
        self
    }

    /// Rotates the signing keys, as Secrets Manager does.
    pub(crate) async fn rotate_keys(&self) -> Result<(), String> {
        rotation::rotate(&self.gateway, self.emulator.secrets(), &TEMPLATE.rotations[0], &self.clock).await
    }

    /// Invokes a function without a route.
    pub(crate) async fn invoke(&self, function: &str, event: Value) -> Result<Value, String> {
        self.gateway.invoke(function, event).await
    }

    /// The published keys, as everybody reads them.
    pub(crate) async fn jwks(&self) -> Vec<Value> {
        let body = self.get("/.well-known/jwks.json").await.expect(200).body;
        body["keys"].as_array().unwrap().clone()
    }

    /// Sends a request.
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

    pub(crate) async fn register(&self, phone: &str, password: &str) -> Reply {
        self.post("/auth/register", json!({"phone": phone, "password": password})).await
    }

    pub(crate) async fn activate(&self, activation_id: &str, otp: &str) -> Reply {
        self.post("/auth/activate", json!({"activation_id": activation_id, "otp": otp})).await
    }

    pub(crate) async fn resend_activation(&self, activation_id: &str) -> Reply {
        self.post("/auth/resend-activation", json!({ "activation_id": activation_id })).await
    }

    pub(crate) async fn login(&self, phone: &str, password: &str) -> Reply {
        self.post("/auth/login", json!({"phone": phone, "password": password})).await
    }

    /// Registers the usual phone with the usual password.
    pub(crate) async fn with_account(self) -> Self {
        self.register(PHONE, PASSWORD).await.expect(201);
        self
    }

    /// Signs in and returns the access token.
    pub(crate) async fn token(&self, password: &str) -> String {
        self.login(PHONE, password).await.expect(200).text("access_token").to_owned()
    }

    /// Signs in and returns the access token and the refresh token.
    pub(crate) async fn tokens(&self, password: &str) -> (String, String) {
        self.login(PHONE, password).await.expect(200).tokens()
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Reply {
        self.post("/auth/refresh", json!({ "refresh_token": refresh_token })).await
    }

    /// A request without a body, with a bearer token.
    pub(crate) async fn bearer(&self, method: Method, path: &str, token: &str) -> Reply {
        self.send(Request::new(method, path).bearer(token)).await
    }

    pub(crate) async fn me(&self, token: &str) -> Reply {
        self.send(Request::new(Method::GET, "/auth/me").bearer(token)).await
    }

    pub(crate) async fn change_password(&self, token: &str, old: &str, new: &str) -> Reply {
        let body = json!({"old_password": old, "new_password": new});
        self.send(Request::post("/auth/change-password", body).bearer(token)).await
    }

    pub(crate) async fn request_reset(&self, phone: &str) -> Reply {
        self.post("/auth/request-reset", json!({"phone": phone})).await
    }

    pub(crate) async fn verify_reset(&self, phone: &str, otp: &str, new_password: &str) -> Reply {
        self.post("/auth/verify-reset", json!({"phone": phone, "otp": otp, "new_password": new_password})).await
    }

    pub(crate) async fn change_phone(&self, token: &str, password: &str, phone: &str) -> Reply {
        let body = json!({"password": password, "phone": phone});
        self.send(Request::post("/auth/change-phone", body).bearer(token)).await
    }

    pub(crate) async fn change_phone_verify(&self, token: &str, phone: &str, otp: &str) -> Reply {
        self.send(Request::post("/auth/change-phone/verify", json!({"phone": phone, "otp": otp})).bearer(token)).await
    }

    pub(crate) async fn mfa_enroll(&self, token: &str, password: &str) -> Reply {
        self.send(Request::post("/auth/mfa/enroll", json!({ "password": password })).bearer(token)).await
    }

    /// Confirms the phone, if that is still to be done.
    pub(crate) async fn verified(&self, token: &str) {
        if self.verify_phone(token).await.status == 202 {
            self.confirm_phone(token, &self.last_code()).await.expect(204);
        }
    }

    /// The same, and asks for a second factor: the answer of `POST /auth/mfa/enroll`.
    pub(crate) async fn enroll_verified(&self, token: &str, password: &str) -> Reply {
        self.verified(token).await;
        self.mfa_enroll(token, password).await
    }

    pub(crate) async fn mfa_confirm(&self, token: &str, code: &str) -> Reply {
        self.send(Request::post("/auth/mfa/confirm", json!({ "code": code })).bearer(token)).await
    }

    /// `POST /auth/mfa/disable` and others that ask for the password and a second factor: `("code", "123456")`.
    pub(crate) async fn with_factor(&self, path: &str, token: &str, password: &str, proof: (&str, &str)) -> Reply {
        let body = json!({"password": password, proof.0: proof.1});
        self.send(Request::post(path, body).bearer(token)).await
    }

    /// `DELETE /auth/me`, with a second factor or with what is ignored.
    pub(crate) async fn delete_me(&self, token: &str, password: &str, proof: (&str, &str)) -> Reply {
        let body = json!({"password": password, proof.0: proof.1});
        self.send(Request::post("/auth/me", body).method(Method::DELETE).bearer(token)).await
    }

    pub(crate) async fn export(&self, token: &str) -> Reply {
        self.bearer(Method::GET, "/auth/me/export", token).await
    }

    pub(crate) async fn login_mfa(&self, mfa_token: &str, proof: (&str, &str)) -> Reply {
        self.post("/auth/login/mfa", json!({"mfa_token": mfa_token, proof.0: proof.1})).await
    }

    /// The first step of a login of the usual account: its `mfa_token`.
    pub(crate) async fn mfa_token(&self, password: &str) -> String {
        self.login(PHONE, password).await.expect_problem(403, "mfa-required").text("mfa_token").to_owned()
    }

    /// Switches a second factor on for the usual account, from a session of its own.
    pub(crate) async fn switch_factor_on(&self, password: &str) -> Factor {
        let token = self.token(password).await;
        let enrolled = self.enroll_verified(&token, password).await.expect(200);
        let authenticator = Authenticator::new(enrolled.text("secret"));
        let confirmed = self.mfa_confirm(&token, &authenticator.code(self)).await.expect(200);
        let codes = confirmed.body["recovery_codes"].as_array().unwrap();
        let recovery_codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
        // The code that confirmed it is used up.
        self.advance(30);
        Factor { authenticator, recovery_codes, token }
    }

    pub(crate) async fn verify_phone(&self, token: &str) -> Reply {
        self.bearer(Method::POST, "/auth/verify-phone", token).await
    }

    pub(crate) async fn confirm_phone(&self, token: &str, otp: &str) -> Reply {
        self.send(Request::post("/auth/verify-phone/confirm", json!({ "otp": otp })).bearer(token)).await
    }

    /// Asks for a code and reads it from the message, as its owner does.
    pub(crate) async fn code(&self, phone: &str) -> String {
        self.request_reset(phone).await.expect(202);
        self.last_code()
    }

    /// The code in the newest message.
    pub(crate) fn last_code(&self) -> String {
        let text = self.outbox.messages().first().expect("a message was sent").text.clone();
        let code = text.split(|c: char| !c.is_ascii_digit()).find(|run| run.len() == 6);
        code.expect("the message has a code").to_owned()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The items whose partition key starts so, in DynamoDB's JSON.
    pub(crate) fn items(&self, partition: &str) -> Vec<Value> {
        let items = self.emulator.items(&TEMPLATE.table.name).unwrap();
        items.into_iter().filter(|item| item["pk"]["S"].as_str().unwrap().starts_with(partition)).collect()
    }

    /// The one item with this sort key in this partition.
    pub(crate) fn item(&self, partition: &str, sort: &str) -> Value {
        let mut items = self.items(partition);
        items.retain(|item| item["sk"]["S"] == sort);
        assert_eq!(items.len(), 1, "{partition} {sort}");
        items.remove(0)
    }

    pub(crate) fn put_item(&self, item: &Value) {
        self.emulator.put_item(&TEMPLATE.table.name, item).unwrap();
    }

    /// Collects what DynamoDB's TTL would have collected by now, at its latest: the embedded database looks at the machine's
    /// clock, and time here is the test's own. Returns how much it was.
    pub(crate) fn collect_garbage(&self) -> usize {
        let (table, now) = (&TEMPLATE.table, self.clock.now().unix_seconds());
        let is_due = |item: &Value| {
            let expires_at = item[&table.ttl_attribute]["N"].as_str();
            expires_at.is_some_and(|seconds| seconds.parse::<u64>().unwrap() <= now)
        };
        let mut due = self.items("");
        due.retain(is_due);
        for item in &due {
            let delete = json!({"TableName": table.name, "Key": {"pk": item["pk"], "sk": item["sk"]}});
            let target = Target::parse("DynamoDB_20120810.DeleteItem");
            assert_eq!(self.emulator.answer(&target, &delete.to_string()).0, 200);
        }
        due.len()
    }

    /// How many password hashes were computed so far.
    pub(crate) fn hashes(&self) -> usize {
        self.gateway.hasher().computed()
    }

    /// What the functions asked of the table since the last look.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.emulator.calls().take()
    }
}

/// A second factor that is on.
pub(crate) struct Factor {
    pub(crate) authenticator: Authenticator,
    pub(crate) recovery_codes: Vec<String>,
    /// An access token of the session that switched it on.
    pub(crate) token: String,
}

impl Factor {
    /// The code that the authenticator shows now.
    pub(crate) fn code(&self, world: &World) -> String {
        self.authenticator.code(world)
    }
}

/// An authenticator app, as RFC 6238 describes it and independent of our own implementation.
pub(crate) struct Authenticator(hmac::Key);

impl Authenticator {
    /// One that was told this secret.
    pub(crate) fn new(secret: &str) -> Self {
        let secret = base32::decode(base32::Alphabet::Rfc4648 { padding: false }, secret).unwrap();
        assert_eq!(secret.len(), 20, "160 bits");
        Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret))
    }

    /// The code that it shows now.
    pub(crate) fn code(&self, world: &World) -> String {
        let step = world.clock.now().unix_seconds() / 30;
        let tag = hmac::sign(&self.0, &step.to_be_bytes());
        let offset = usize::from(tag.as_ref()[19] & 0xf);
        let number = u32::from_be_bytes(tag.as_ref()[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

/// A code that is not this one.
pub(crate) fn another_code(code: &str) -> String {
    let number: u32 = code.parse().unwrap();
    format!("{:06}", (number + 1) % 1_000_000)
}

/// A request to be sent.
#[derive(Clone)]
pub(crate) struct Request {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
    source: IpAddr,
}

impl Request {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        let source = "203.0.113.7".parse().unwrap();
        Self { method, path: path.to_owned(), headers: HeaderMap::new(), body: Vec::new(), source }
    }

    #[expect(clippy::needless_pass_by_value, reason = "`json!(…)` reads best in place")]
    pub(crate) fn post(path: &str, body: Value) -> Self {
        Self::new(Method::POST, path).body("application/json", body.to_string().as_bytes())
    }

    pub(crate) fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    pub(crate) fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        self.body = body.to_vec();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    pub(crate) fn any_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn raw_body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn from(mut self, source: &str) -> Self {
        self.source = source.parse().unwrap();
        self
    }
}

/// What came back. Has no `Debug`: answers carry tokens, and a failing test must not print one.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) bytes: Vec<u8>,
    pub(crate) function: Option<String>,
}

impl Reply {
    /// Checks the status; a failure names the problem's code and nothing else.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "problem: {}", self.code());
        self
    }

    /// Checks status and problem code, and that it is a problem as RFC 9457 wants it.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code));
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.body["type"], format!("urn:latchkey:problem:{code}"));
        assert_eq!(self.body["status"], status);
        for member in ["title", "detail", "instance"] {
            assert!(self.body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}");
        }
        self
    }

    /// Checks that it is 429 for this limit, and says in how many seconds to come back.
    #[track_caller]
    pub(crate) fn expect_limit(self, bucket: &str) -> u64 {
        let reply = self.expect_problem(429, "too-many-requests");
        assert_eq!(reply.body["bucket"], bucket);
        reply.header("retry-after").expect("429 carries Retry-After").parse().unwrap()
    }

    /// Checks that it is 422 for these fields.
    #[track_caller]
    pub(crate) fn expect_fields(self, pointers: &[&str]) -> Self {
        let reply = self.expect_problem(422, "invalid-request");
        let errors = reply.body["errors"].as_array().unwrap();
        let named: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(named, pointers);
        assert!(errors.iter().all(|error| !error["detail"].as_str().unwrap().is_empty()));
        reply
    }

    /// The access token and the refresh token.
    #[track_caller]
    pub(crate) fn tokens(&self) -> (String, String) {
        (self.text("access_token").to_owned(), self.text("refresh_token").to_owned())
    }

    /// The problem's code; empty when it is no problem.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_else(|| panic!("the answer has no text `{member}`"))
    }

    /// Everything that a client can tell two answers apart by: all but the request's identifier.
    pub(crate) fn fingerprint(&self) -> (u16, Vec<(String, String)>, Value) {
        let mut body = self.body.clone();
        if let Some(body) = body.as_object_mut() {
            body.remove("instance");
        }
        let headers = self.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH);
        let mut headers: Vec<_> = headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
        headers.sort();
        (self.status, headers, body)
    }
}
