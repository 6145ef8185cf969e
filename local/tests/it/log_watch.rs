//! Watches every line that is logged while a world lives, at `RUST_LOG=trace`: no secret of that world may be in one. So
//! every test over HTTP proves it for the way that it goes; `.ci/binaries.py` does it for the real binaries.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
};

use latchkey::{log::line_log::KeptLines, messages::Outbox, runtime::log_filter};
use serde_json::Value;
use tracing_subscriber::{Layer, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// What was logged so far, by all tests.
static LINES: Mutex<String> = Mutex::new(String::new());

/// Members of requests and answers that are secrets, wherever they stand.
const SECRETS: [&str; 16] = [
    "attempt",
    "access_token",
    "activation_id",
    "code",
    "device_token",
    "mfa_token",
    "new_password",
    "old_password",
    "otp",
    "otpauth_uri",
    "password",
    "qr_svg",
    "recovery_code",
    "recovery_codes",
    "refresh_token",
    "secret",
];

/// Shorter ones are mistakes in tests of mistakes, and words that may well be in a line.
const SHORTEST: usize = 8;

struct Writer;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&LINES).push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The secrets of one world, and where the log was when it began.
pub(crate) struct LogWatch {
    from: usize,
    secrets: Mutex<BTreeMap<String, String>>,
    outbox: Outbox,
    kept: [WatchedLines; 2],
}

/// Lines of a schema of their own, which are the log, too: those that a test has read are watched as well.
#[derive(Clone, Default)]
pub(crate) struct WatchedLines {
    kept: KeptLines,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl WatchedLines {
    pub(crate) fn of(kept: KeptLines) -> Self {
        Self { kept, seen: Arc::default() }
    }

    /// The lines since the last look.
    pub(crate) fn take(&self) -> Vec<Value> {
        let lines = self.kept.take();
        lock(&self.seen).extend(lines.iter().cloned());
        lines
    }

    /// Every line so far.
    pub(crate) fn all(&self) -> Vec<Value> {
        self.take();
        lock(&self.seen).clone()
    }
}

impl LogWatch {
    /// Begins to watch.
    pub(crate) fn begin(outbox: Outbox, kept: [WatchedLines; 2]) -> Self {
        static START: Once = Once::new();
        START.call_once(|| {
            let lines = tracing_subscriber::fmt::layer().json().with_writer(|| Writer);
            let filter = log_filter(Some("trace"), LevelFilter::TRACE);
            tracing_subscriber::registry().with(lines.with_filter(filter)).init();
        });
        Self { from: lock(&LINES).len(), secrets: Mutex::default(), outbox, kept }
    }

    /// Learns every secret of another world.
    pub(crate) fn learn_all(&self, other: &Self) {
        let secrets = lock(&other.secrets).clone();
        lock(&self.secrets).extend(secrets);
    }

    /// Learns the secrets of a body.
    pub(crate) fn learn(&self, body: &Value) {
        match body {
            Value::Object(members) => {
                for (name, value) in members {
                    match value {
                        // A problem's code is none.
                        Value::String(text) if name == "code" && !is_code(text) => {}
                        Value::String(text) if SECRETS.contains(&name.as_str()) => self.keep(name, text),
                        Value::String(text) if name == "phone" => self.keep_phone(text),
                        Value::Array(texts) if SECRETS.contains(&name.as_str()) => {
                            texts.iter().filter_map(Value::as_str).for_each(|text| self.keep(name, text));
                        }
                        _ => self.learn(value),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.learn(value)),
            _ => {}
        }
    }

    /// Learns a bearer token.
    pub(crate) fn learn_token(&self, authorization: &str) {
        self.keep("bearer", authorization.split_once(' ').map_or(authorization, |(_, token)| token));
    }

    /// Returns the name of a secret that is in this text; not of a phone, which the table may hold.
    pub(crate) fn secret_in(&self, text: &str) -> Option<String> {
        // Some tests try the phone as a password.
        let is_phone = |secret: &str| secret.len() > 6 && secret.bytes().all(|b| b.is_ascii_digit());
        let secrets = lock(&self.secrets);
        let mut hidden = secrets.iter().filter(|(secret, name)| *name != "phone" && !is_phone(secret));
        hidden.find(|(secret, _)| position(text, secret).is_some()).map(|(_, name)| name.clone())
    }

    fn keep(&self, name: &str, text: &str) {
        // Some tests try a password that is a word of the audit log.
        if text == "password" {
            return;
        }
        if text.len() >= SHORTEST || is_code(text) {
            lock(&self.secrets).insert(text.to_owned(), name.to_owned());
        }
    }

    /// Without its country code, in every spelling the same.
    fn keep_phone(&self, text: &str) {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if let Some(at) = digits.len().checked_sub(9) {
            self.keep("phone", &digits[at..]);
        }
    }
}

impl Drop for LogWatch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for message in self.outbox.messages() {
            self.keep_phone(message.to.as_e164());
            message.text.split(|c: char| !c.is_ascii_digit()).filter(|run| is_code(run)).for_each(|code| {
                self.keep("code in a message", code);
            });
        }
        let kept = self.kept.iter().flat_map(WatchedLines::all).map(|line| format!("{line}\n"));
        let lines = lock(&LINES)[self.from..].to_owned() + &kept.collect::<String>();
        if let Some(leak) = leak(&lines, &lock(&self.secrets)) {
            panic!("{leak}");
        }
    }
}

fn is_code(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Which secret is in a line, and in which: without telling it.
fn leak(lines: &str, secrets: &BTreeMap<String, String>) -> Option<String> {
    secrets.iter().find_map(|(secret, name)| {
        let at = position(lines, secret)?;
        let start = lines[..at].rfind('\n').map_or(0, |end| end + 1);
        let line = lines[start..].lines().next().unwrap_or_default().replace(secret.as_str(), "…");
        Some(format!("a line of the log has a secret ({name}): {line}"))
    })
}

/// Where this secret is first.
fn position(text: &str, secret: &str) -> Option<usize> {
    // Six digits are a code when they stand alone, and not in the middle of an identifier.
    let stands_alone = |at: &usize| {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        !is_word(text[..*at].chars().next_back()) && !is_word(text[at + secret.len()..].chars().next())
    };
    let mut found = text.match_indices(secret).map(|(at, _)| at);
    if is_code(secret) { found.find(stands_alone) } else { found.next() }
}

#[test]
fn a_secret_in_a_line_is_found_and_not_told() {
    let secrets = |secret: &str| BTreeMap::from([(secret.to_owned(), "password".to_owned())]);
    let lines = "{\"a\":1}\n{\"b\":\"my horse battery\",\"id\":\"x123456\"}\n{\"otp\":654321}\n";
    assert_eq!(
        leak(lines, &secrets("horse battery")).unwrap(),
        "a line of the log has a secret (password): {\"b\":\"my …\",\"id\":\"x123456\"}"
    );
    assert!(leak(lines, &secrets("654321")).is_some());
    assert!(leak(lines, &secrets("123456")).is_none(), "in the middle of an identifier");
    assert!(leak(lines, &secrets("another one")).is_none());
}

/// That what is logged is seen here at all, details of ours included.
#[tokio::test]
async fn what_is_logged_is_watched() {
    let world = crate::harness::World::new();
    let from = lock(&LINES).len();
    world.visitor("01012345678").mistyping().login().await.expect(401);
    assert!(lock(&LINES)[from..].contains("invalid-credentials"));
}
