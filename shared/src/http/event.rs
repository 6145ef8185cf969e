//! Events that functions with a route take: requests of an HTTP API in payload format 2.0.

use std::net::Ipv4Addr;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, header, uri::Authority};
use lambda_http::request::LambdaRequest;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

/// The reason for which another event is not answered.
const WRONG_EVENT: &str =
    "this function takes requests of an HTTP API in payload format version 2.0, and no other event";

/// The length of the longest path that is read, in bytes: API Gateway takes no longer one.
const MAX_PATH: usize = 10 * 1024;

/// The lengths of the longest stage (a limit of API Gateway) and of the longest host name (RFC 1035).
const MAX_STAGE: usize = 128;
const MAX_HOST: usize = 253;

/// The host of the address that is built of a request whose own host is not one.
const SOME_HOST: HeaderValue = HeaderValue::from_static("localhost");

/// Reads the event of a request, as the functions do on Lambda.
pub fn read(event: &str) -> Result<lambda_http::Request, serde_json::Error> {
    serde_json::from_str::<HttpEvent>(event).map(|event| event.0.into())
}

/// A request of an HTTP API. Whatever else invokes the function is an error that says so, because a request without
/// source address and identifier must not be answered: payload format 1.0, REST APIs, load balancers, schedules.
pub(crate) struct HttpEvent(pub(crate) LambdaRequest);

/// The members that are checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow, default)]
    version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(default)]
    is_base64_encoded: bool,
}

impl<'de> Deserialize<'de> for HttpEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let event = Box::<RawValue>::deserialize(deserializer)?;
        // No error of a parser is passed on: it may repeat a value, and it would be logged.
        let envelope = serde_json::from_str::<Envelope<'_>>(event.get()).map_err(|_| D::Error::custom(WRONG_EVENT))?;
        if envelope.version.is_none_or(|version| version.get() != "\"2.0\"") {
            return Err(D::Error::custom(WRONG_EVENT));
        }
        // The conversion below this takes for granted that what is said to be base64 is.
        if envelope.is_base64_encoded && !envelope.body.is_none_or(is_base64) {
            return Err(D::Error::custom("the body of this event is not the base64 that it says it is"));
        }
        let mut request = serde_json::from_str(event.get()).map_err(|_| D::Error::custom(WRONG_EVENT))?;
        make_safe(&mut request);
        Ok(Self(request))
    }
}

/// Replaces what the conversion below this does not take: it builds the address `{X-Forwarded-Proto}://{Host}{path}?{query}`
/// of these, and panics if that is none. No function reads that address.
fn make_safe(request: &mut LambdaRequest) {
    if let LambdaRequest::ApiGatewayV2(request) = request {
        request.headers.remove("x-forwarded-proto");
        let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        if !host.is_some_and(is_plain_host) {
            request.headers.insert(header::HOST, SOME_HOST);
        }
        let path = request.raw_path.take().unwrap_or_default();
        let path = path.get(..path.floor_char_boundary(MAX_PATH)).unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        request.raw_path = Some(format!("{slash}{path}"));
        // No endpoint has parameters in its query.
        request.raw_query_string = None;
        // A name from the template, and of any length in an event that somebody made up.
        if request.request_context.stage.as_ref().is_some_and(|stage| stage.len() > MAX_STAGE) {
            request.request_context.stage = None;
        }
    }
}

/// Returns whether a URL may have this host, by rules that are stricter than those of any parser.
fn is_plain_host(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            // What stands for other letters is not always well-formed.
            && !label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
    };
    let name = match host.parse::<Authority>() {
        // An empty port, or one beyond 65535, is in the text and is no port.
        Ok(authority) if authority.port_u16().is_some() == host.contains(':') => authority.host().to_owned(),
        _ => return false,
    };
    let is_name = || {
        let ends_as_a_number =
            name.rsplit('.').next().is_none_or(|last| last.starts_with(|c: char| c.is_ascii_digit()));
        name.split('.').all(is_label) && !ends_as_a_number
    };
    !host.contains('@') && name.len() <= MAX_HOST && (name.parse::<Ipv4Addr>().is_ok() || is_name())
}

/// Returns whether a member is a text in base64, or null.
fn is_base64(body: &RawValue) -> bool {
    let body: Result<Option<String>, _> = serde_json::from_str(body.get());
    body.is_ok_and(|body| body.is_none_or(|body| BASE64_STANDARD.decode(body).is_ok()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../events/login.json")).unwrap()
    }

    fn read(event: &Value) -> Result<lambda_http::Request, String> {
        super::read(&event.to_string()).map_err(|e| e.to_string())
    }

    /// What no parser of URLs takes, in each part of the address.
    #[test]
    fn no_event_makes_the_conversion_panic() {
        let long = "€".repeat(60_000);
        let odd = [
            "",
            " ",
            "*",
            "https, http",
            "https,http",
            "\"https\"",
            ":",
            "//",
            "?",
            "#",
            "a b",
            "[",
            "[::1",
            "[::1]",
            "[::1]:1",
            "%",
            "%zz",
            "%00",
            "a:b@c",
            "@",
            "a@",
            "\\",
            "é",
            "\u{202e}",
            "\u{fffd}",
            "1.2.3.4",
            "1.2.3.4.5",
            "256.1.1.1",
            "0x100000000",
            "a.0x1g",
            "1.2.3.08",
            "a.1",
            "xn--",
            "xn--a",
            "www.xn--zzzzzzz.de",
            "a..b",
            ".",
            "a.",
            "-",
            "a:",
            "a:x",
            "a:65536",
            "a:-1",
            "a:99999999999999",
            "a:1:2",
            "<>",
            "\"",
            "^",
            "|",
            "{}",
            "`",
            "javascript",
            "file",
            "http:",
            "1http",
            "\u{7f}",
            "/\u{7f}",
            "/../..",
            "/%2e%2e",
            "//a//b",
            "/a?b#c",
            "/é€𝟎",
            "/<script>",
            long.as_str(),
        ];
        for odd in odd {
            let parts = [
                "/headers/x-forwarded-proto",
                "/headers/host",
                "/rawPath",
                "/rawQueryString",
                "/requestContext/stage",
                "/requestContext/domainName",
            ];
            for part in parts {
                for has_host in [true, false] {
                    let mut event = event();
                    event["headers"]["x-forwarded-proto"] = "https".into();
                    event["headers"]["host"] = "localhost:3000".into();
                    if !has_host {
                        event["headers"].as_object_mut().unwrap().remove("host");
                    }
                    *slot(&mut event, part) = odd.into();
                    let request = read(&event);
                    // A header may be none, which the event's own parser refuses.
                    assert!(request.is_ok() || part.starts_with("/headers/"), "{part}: {odd:.40}");
                }
            }
        }
        let mut event = event();
        event["rawPath"] = Value::Null;
        event["requestContext"]["domainName"] = Value::Null;
        assert_eq!(read(&event).unwrap().uri().path(), "/");
    }

    fn slot<'a>(event: &'a mut Value, pointer: &str) -> &'a mut Value {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap().as_object_mut().unwrap().entry(name).or_insert(Value::Null)
    }

    #[test]
    fn the_host_that_says_the_port_of_a_local_server_stays() {
        for host in ["localhost:3000", "127.0.0.1:8080", "abc123.execute-api.eu-central-1.amazonaws.com"] {
            let mut event = event();
            event["headers"]["host"] = host.into();
            assert_eq!(read(&event).unwrap().headers()["host"], host);
        }
    }

    #[test]
    fn a_request_of_an_http_api_is_taken() {
        let request = read(&event()).unwrap();
        assert_eq!(request.uri().path(), "/auth/login");
        let mut event = event();
        event["isBase64Encoded"] = true.into();
        event["body"] = "e30=".into();
        assert_eq!(read(&event).unwrap().body().as_ref(), b"{}");
        event["body"] = Value::Null;
        assert!(read(&event).unwrap().body().is_empty());
    }

    /// Least forms of the events of other services.
    #[test]
    fn every_other_event_is_an_error_that_names_the_payload_format() {
        let with = |version: Value| {
            let mut event = event();
            event["version"] = version;
            event
        };
        for other in [
            with(json!("1.0")),
            with(json!(2.0)),
            with(Value::Null),
            json!({"version": "2.0"}),
            json!({"resource": "/", "path": "/auth/login", "httpMethod": "POST", "requestContext": {"stage": "prod"}}),
            json!({"requestContext": {"elb": {"targetGroupArn": "arn"}}, "httpMethod": "GET", "path": "/", "body": ""}),
            json!({"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}),
            json!({}),
            json!([]),
            json!("ping"),
            json!(null),
        ] {
            let error = read(&other).map(|_| ()).unwrap_err();
            assert!(error.contains("payload format version 2.0"), "{other}: {error}");
        }
    }

    #[test]
    fn a_body_that_is_not_the_base64_it_says_is_an_error() {
        for body in [json!("%%%"), json!("e30"), json!(7)] {
            let mut event = event();
            event["isBase64Encoded"] = true.into();
            event["body"] = body;
            let error = read(&event).map(|_| ()).unwrap_err();
            assert!(error.contains("base64"), "{error}");
        }
    }
}
