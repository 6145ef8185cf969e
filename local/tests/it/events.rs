//! `events/*.json`: what `cargo lambda invoke` and `sam local invoke` send, each through its handler.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use http::{HeaderName, HeaderValue};
use lambda_http::{RequestExt, request::RequestContext};
use serde_json::Value;

use crate::harness::{Reply, Request, TEMPLATE, World, file};

/// `events/answers.json`: the events in the order in which they are sent to a system that has just been started, each with
/// its answer. `.ci/binaries.py` sends the same ones to the real binaries.
///
/// What an answer holds under a pointer of `keep` takes the place of that text in all later events; a text of `put`, in
/// this one alone. `send` is sent instead of the event. An HTTP request is answered with `status`, another event with the
/// members of `answer`.
fn answers() -> Vec<Value> {
    serde_json::from_str(&file("events/answers.json")).unwrap()
}

/// A member that is an object of texts; without it, nothing.
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

/// A world for [`send_all`], which reads codes from answers.
pub(crate) fn world() -> World {
    World::with(&[("OTP_EXPOSE", "true")])
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

    let routeless: Vec<_> =
        TEMPLATE.functions.iter().filter(|f| f.routes.is_empty()).map(|f| f.name.as_str()).collect();
    assert_eq!(routeless, ["authorizer", "rotate-keys"]);
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
