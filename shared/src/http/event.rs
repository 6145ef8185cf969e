//! Events that functions with a route take: requests of an HTTP API in payload format 2.0.

use base64::{Engine, prelude::BASE64_STANDARD};
use lambda_http::request::LambdaRequest;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

/// The reason for which another event is not answered.
const WRONG_EVENT: &str =
    "this function takes requests of an HTTP API in payload format version 2.0, and no other event";

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
        serde_json::from_str(event.get()).map(Self).map_err(|_| D::Error::custom(WRONG_EVENT))
    }
}

/// Returns whether a member is a text in base64, or null.
fn is_base64(body: &RawValue) -> bool {
    let body: Result<Option<String>, _> = serde_json::from_str(body.get());
    body.is_ok_and(|body| body.is_none_or(|body| BASE64_STANDARD.decode(body).is_ok()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../events/login.json")).unwrap()
    }

    fn read(event: &Value) -> Result<lambda_http::Request, String> {
        serde_json::from_str::<HttpEvent>(&event.to_string()).map(|event| event.0.into()).map_err(|e| e.to_string())
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
