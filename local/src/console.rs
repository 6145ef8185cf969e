//! The terminal of the dev server: one line for each request, and what a developer wants to know about it.

use std::{collections::HashMap, fmt::Write, time::Duration};

use http::{Method, Response, StatusCode};
use latchkey::{
    base::{terminal::say, time::in_words},
    messages::Outbox,
};
use serde_json::Value;

/// What the terminal shows beside the requests.
pub struct Console {
    /// The fixed codes of test numbers, to which no message is sent although they are no decoys.
    test_codes: Vec<String>,
}

/// A request and its response.
pub(crate) struct Exchange<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    /// The function that responded, unless the gateway itself did.
    pub(crate) function: Option<&'a str>,
    pub(crate) response: &'a Response<Vec<u8>>,
    pub(crate) duration: Duration,
}

impl Console {
    /// Returns the terminal of a server with these overrides.
    pub fn new(overrides: &HashMap<String, String>) -> Self {
        let numbers = overrides.get("TEST_NUMBERS").map(String::as_str).unwrap_or_default();
        let codes = numbers.split(',').filter_map(|item| item.split_once('='));
        Self { test_codes: codes.map(|(_, code)| code.trim().to_owned()).collect() }
    }

    /// Prints the line of an exchange, and hints below it.
    pub(crate) fn print(&self, exchange: &Exchange<'_>, outbox: &Outbox) {
        let body: Value = serde_json::from_slice(exchange.response.body()).unwrap_or_default();
        say(&line(exchange, &body));
        for hint in self.hints(&body, outbox) {
            say(&format!("    {hint}"));
        }
        if exchange.method == Method::OPTIONS && exchange.response.status() == StatusCode::METHOD_NOT_ALLOWED {
            say("    a page of another origin may not read this: --env ALLOWED_ORIGINS=… names those that may");
        }
    }

    fn hints(&self, body: &Value, outbox: &Outbox) -> Vec<String> {
        let mut hints = Vec::new();
        for error in body["errors"].as_array().into_iter().flatten() {
            let (pointer, detail) = (error["pointer"].as_str(), error["detail"].as_str());
            hints.push(format!("{} {}", pointer.unwrap_or("/"), detail.unwrap_or_default()));
        }
        if let Some(bucket) = body["bucket"].as_str() {
            hints.push(format!("limit {bucket}: docs/problems.md names its variable, which --env raises"));
        }
        if let Some(code) = body["otp"].as_str() {
            let was_sent = outbox.messages().iter().any(|message| message.text.contains(code));
            if !was_sent && !self.test_codes.iter().any(|test_code| test_code == code) {
                hints.push("no message was sent, so this code is a decoy: is the phone registered here?".to_owned());
            }
        }
        hints
    }
}

/// Returns the line: what was asked, what was answered and how long it took. A problem has its code and its `instance`,
/// by which a client's report finds the line.
fn line(exchange: &Exchange<'_>, body: &Value) -> String {
    let Exchange { method, path, function, response, duration } = exchange;
    let mut line = format!("{method} {path} {}", response.status().as_u16());
    if let Some(code) = body["code"].as_str().filter(|_| !response.status().is_success()) {
        line.extend([" ", code]);
    }
    let wait = response.headers().get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(seconds) = wait {
        line.extend([", again in ", &in_words(Duration::from_secs(seconds))]);
    }
    // Writing to a `String` cannot fail.
    let _ = write!(line, " {:.1} ms {}", duration.as_secs_f64() * 1000.0, function.unwrap_or("-"));
    if let Some(instance) = body["instance"].as_str() {
        line.extend([" ", instance]);
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(status: u16, body: &Value) -> String {
        let response = Response::builder().status(status).body(Vec::new()).unwrap();
        let exchange = Exchange {
            method: &Method::POST,
            path: "/auth/login",
            function: Some("login"),
            response: &response,
            duration: Duration::from_micros(42_100),
        };
        line(&exchange, body)
    }

    #[test]
    fn a_line_names_the_problem_and_its_instance() {
        assert_eq!(shown(200, &json!({"access_token": "not shown"})), "POST /auth/login 200 42.1 ms login");
        let problem = json!({"code": "invalid-credentials", "instance": "4711"});
        assert_eq!(shown(401, &problem), "POST /auth/login 401 invalid-credentials 42.1 ms login 4711");
    }

    #[test]
    fn hints_name_wrong_fields_limits_and_decoys() {
        let console = Console::new(&[("TEST_NUMBERS".to_owned(), "+201000000001=135791".to_owned())].into());
        let hints = |body: Value| console.hints(&body, &Outbox::default()).join("; ");
        assert_eq!(hints(json!({})), "");
        assert_eq!(hints(json!({"errors": [{"pointer": "/phone", "detail": "is missing"}]})), "/phone is missing");
        assert!(hints(json!({"bucket": "messages-phone"})).starts_with("limit messages-phone"));
        assert!(hints(json!({"otp": "246802"})).contains("decoy"));
        assert!(!hints(json!({"otp": "246802"})).contains("246802"));
        assert_eq!(hints(json!({"otp": "135791"})), "", "a test number gets no message, and its code is good");
    }
}
