//! `events/*.json`: what `cargo lambda invoke` and `sam local invoke` send, each through its handler.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use http::{HeaderName, HeaderValue};
use lambda_http::{RequestExt, request::RequestContext};
use serde_json::Value;

use crate::harness::{Reply, Request, TEMPLATE, World, file};

/// Reads `events/answers.json`: the events in the order in which a new system gets them, each with its response.
/// `.ci/binaries.py` sends the same events to the real binaries. The members of a step:
///
/// * `event`: the name of the file and of the function;
/// * `status`: the status of the response to an HTTP request;
/// * `answer`: members of the response to another event;
/// * `keep`: placeholders in later events, each with the pointer to the member of this response that replaces it;
/// * `put`: texts of this event, each with the text that replaces it;
/// * `send`: an event that is sent instead of the file;
/// * `why`: the reason for a status that is not a success.
fn answers() -> Vec<Value> {
    serde_json::from_str(&file("events/answers.json")).unwrap()
}

/// Lists the names and texts of a member, if the step has it.
fn texts<'a>(step: &'a Value, member: &str) -> Vec<(&'a str, &'a str)> {
    let members = step[member].as_object().into_iter().flatten();
    members.map(|(name, text)| (name.as_str(), text.as_str().unwrap())).collect()
}

fn event(name: &str) -> Value {
    serde_json::from_str(&file(&format!("events/{name}.json"))).unwrap()
}

/// Sends the event of an HTTP request through the gateway, by its own method, path, headers and body.
async fn send(world: &World, event: &Value) -> Reply {
    let http = &event["requestContext"]["http"];
    let method = http["method"].as_str().unwrap().parse().unwrap();
    let mut request = Request::new(method, event["rawPath"].as_str().unwrap());
    for (header, value) in event["headers"].as_object().unwrap() {
        let (header, value) = (header.parse::<HeaderName>().unwrap(), value.as_str().unwrap());
        request = request.any_header(header, HeaderValue::from_str(value).unwrap());
    }
    let body = event["body"].as_str().unwrap_or_default().as_bytes().to_vec();
    let source: IpAddr = http["sourceIp"].as_str().unwrap().parse().unwrap();
    world.send(request.raw_body(body).from(&source.to_string())).await
}

/// Sends every event in its order and checks each answer; returns the names of the functions that answered.
pub(crate) async fn send_all(world: &World) -> BTreeSet<String> {
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    let mut sent = BTreeSet::new();
    for step in answers() {
        // Between a code and the next one there is a pause.
        world.advance(1);
        let name = step["event"].as_str().unwrap();
        let replace = |text: String| kept.iter().fold(text, |text, (from, to)| text.replace(from, to));
        let event = step.get("send").map_or_else(|| event(name), Value::clone);
        let event = texts(&step, "put").into_iter().fold(event.to_string(), |text, (from, to)| text.replace(from, to));
        let event: Value = serde_json::from_str(&replace(event)).unwrap();

        let answer = if let Some(status) = step["status"].as_u64() {
            let reply = send(world, &event).await;
            assert_eq!(reply.function.as_deref(), Some(name));
            assert_eq!(u64::from(reply.status), status, "{name}: {}", reply.code());
            reply.body
        } else {
            let answer = world.invoke(name, event).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            let expected: Value = serde_json::from_str(&replace(step["answer"].to_string())).unwrap();
            for (member, value) in expected.as_object().unwrap() {
                assert_eq!(&answer[member], value, "{name}: {member}");
            }
            answer
        };
        for (text, pointer) in texts(&step, "keep") {
            let value = answer.pointer(pointer).and_then(Value::as_str);
            kept.insert(text.to_owned(), value.unwrap_or_else(|| panic!("{name}: no {pointer}")).to_owned());
        }
        sent.insert(name.to_owned());
    }
    sent
}

/// A world for [`send_all`], which reads codes from answers and sends a page's preflight.
pub(crate) fn world() -> World {
    World::with(&[("OTP_EXPOSE", "true"), ("ALLOWED_ORIGINS", "http://localhost:*")])
}

#[tokio::test]
async fn every_event_reaches_its_function_and_is_answered_as_expected() {
    let functions: BTreeSet<_> = TEMPLATE.functions.iter().map(|function| function.name.clone()).collect();
    assert_eq!(send_all(&world()).await, functions);
}

#[tokio::test]
async fn events_are_of_payload_format_2_and_their_tokens_open_nothing() {
    let world = World::new();
    for function in TEMPLATE.functions.iter().filter(|function| !function.routes.is_empty()) {
        let name = &function.name;
        let event = event(name);
        let request = lambda_http::request::from_str(&event.to_string());
        let request = request.unwrap_or_else(|error| panic!("{name}: {error}"));
        let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else {
            panic!("{name} is not of payload format 2.0");
        };
        assert_eq!(context.stage.as_deref(), Some("$default"), "{name}");
        if name == "refresh" || event["headers"]["authorization"].is_string() {
            send(&world, &event).await.expect_problem(401, "invalid-token");
        }
    }
}

#[tokio::test]
async fn events_of_functions_without_a_route_are_taken() {
    let world = World::new();
    let refused = world.invoke("authorizer", event("authorizer")).await.unwrap();
    assert_eq!(refused, serde_json::json!({"isAuthorized": false}), "its token is none");

    let mut step = event("rotate-keys");
    world.invoke("rotate-keys", step.clone()).await.expect_err("its version is not pending");
    step["ClientRequestToken"] = world.emulator.secrets().begin_rotation("SigningKeys").unwrap().into();
    world.invoke("rotate-keys", step).await.unwrap();

    let mut step = event("rotate-secret");
    world.invoke("rotate-secret", step.clone()).await.expect_err("its version is not pending");
    step["ClientRequestToken"] = world.emulator.secrets().begin_rotation("SecretKey").unwrap().into();
    world.invoke("rotate-secret", step).await.unwrap();

    let sent = world.invoke("send-notices", event("send-notices")).await.unwrap();
    assert_eq!(sent, serde_json::json!({"settled": 0}));

    let routeless: Vec<_> =
        TEMPLATE.functions.iter().filter(|f| f.routes.is_empty() && !f.is_default).map(|f| f.name.as_str()).collect();
    assert_eq!(routeless, ["authorizer", "rotate-keys", "rotate-secret", "send-notices"]);
}

#[test]
fn every_event_names_a_route_of_its_function() {
    for function in TEMPLATE.functions.iter().filter(|function| !function.routes.is_empty()) {
        let (name, event) = (&function.name, event(&function.name));
        let route_keys: Vec<_> = function.routes.iter().map(|r| format!("{} {}", r.method, r.path)).collect();
        let route_key = event["routeKey"].as_str().unwrap();
        assert!(route_keys.iter().any(|known| known == route_key), "{name}: {route_key}");
        assert_eq!(event["requestContext"]["routeKey"], route_key);
    }
}
