//! `events/*.json`: what `cargo lambda invoke` and `sam local invoke` send, each through its handler.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue};
use lambda_http::{RequestExt, request::RequestContext};
use serde_json::Value;

use crate::harness::{TEMPLATE, World, file};

/// What each event is answered with by a system that has just been started, in this order.
const ANSWERS: [(&str, u16); 28] = [
    ("register", 201),
    ("activate", 400),
    ("resend-activation", 422),
    ("login", 200),
    ("login-mfa", 401),
    ("refresh", 401),
    ("sessions", 401),
    ("sessions-delete", 401),
    ("logout", 401),
    ("logout-all", 401),
    ("me", 401),
    ("me-export", 401),
    ("me-delete", 401),
    ("change-password", 401),
    ("change-phone", 401),
    ("change-phone-verify", 401),
    ("verify-phone", 401),
    ("verify-phone-confirm", 401),
    ("mfa-enroll", 401),
    ("mfa-confirm", 401),
    ("mfa-disable", 401),
    ("mfa-recovery-codes", 401),
    ("request-reset", 202),
    ("verify-reset", 400),
    ("jwks", 200),
    ("openid-configuration", 200),
    ("docs", 200),
    ("health", 200),
];

#[tokio::test]
async fn every_event_reaches_its_function_and_is_answered() {
    let world = World::new();
    for (name, status) in ANSWERS {
        let text = file(&format!("events/{name}.json"));
        // First as Lambda reads it.
        let request = lambda_http::request::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else {
            panic!("{name} is not of payload format 2.0");
        };
        assert_eq!(context.stage.as_deref(), Some("$default"), "{name}");

        // Then through the gateway, by its own method, path, headers and body.
        let event: Value = serde_json::from_str(&text).unwrap();
        let http = &event["requestContext"]["http"];
        let body = event["body"].as_str().unwrap_or_default().as_bytes().to_vec();
        let mut request = crate::harness::Request::new(
            http["method"].as_str().unwrap().parse().unwrap(),
            event["rawPath"].as_str().unwrap(),
        );
        for (header, value) in event["headers"].as_object().unwrap() {
            let (header, value) = (header.parse::<HeaderName>().unwrap(), value.as_str().unwrap());
            request = request.any_header(header, HeaderValue::from_str(value).unwrap());
        }
        let source: IpAddr = http["sourceIp"].as_str().unwrap().parse().unwrap();
        let reply = world.send(request.raw_body(body).from(&source.to_string())).await.expect(status);
        assert_eq!(reply.function.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn events_of_functions_without_a_route_are_taken() {
    let world = World::new();
    let event = |name: &str| -> Value { serde_json::from_str(&file(&format!("events/{name}.json"))).unwrap() };
    let refused = world.invoke("authorizer", event("authorizer")).await.unwrap();
    assert_eq!(refused, serde_json::json!({"isAuthorized": false}), "its token is none");

    let mut step = event("rotate-keys");
    world.invoke("rotate-keys", step.clone()).await.expect_err("its version is not pending");
    step["ClientRequestToken"] = world.emulator.secrets().begin_rotation("SigningKeys").unwrap().into();
    world.invoke("rotate-keys", step).await.unwrap();

    let routeless: Vec<_> =
        TEMPLATE.functions.iter().filter(|f| f.routes.is_empty()).map(|f| f.name.as_str()).collect();
    assert_eq!(routeless, ["authorizer", "rotate-keys"]);
}

#[test]
fn every_event_names_a_route_of_its_function() {
    for (name, _) in ANSWERS {
        let event: Value = serde_json::from_str(&file(&format!("events/{name}.json"))).unwrap();
        let function = TEMPLATE.function(name).unwrap();
        let route_keys: Vec<_> = function.routes.iter().map(|r| format!("{} {}", r.method, r.path)).collect();
        let route_key = event["routeKey"].as_str().unwrap();
        assert!(route_keys.iter().any(|known| known == route_key), "{name}: {route_key}");
        assert_eq!(event["requestContext"]["routeKey"], route_key);
    }
}
