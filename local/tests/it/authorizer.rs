//! `authorizer`: what other HTTP APIs are told of a request to them.

use local::emulator::Fault;
use serde_json::{Value, json};

use crate::harness::{NEW_PASSWORD, Person, World, file};

/// The event of a request to another API with this `Authorization`.
fn event(authorization: Option<&str>) -> Value {
    let mut event: Value = serde_json::from_str(&file("events/authorizer.json")).unwrap();
    let headers = event["headers"].as_object_mut().unwrap();
    headers.remove("authorization");
    headers.extend(authorization.map(|value| ("authorization".to_owned(), value.into())));
    event
}

async fn ask(world: &World, authorization: Option<&str>) -> Value {
    world.invoke("authorizer", event(authorization)).await.unwrap()
}

fn refused() -> Value {
    json!({"isAuthorized": false})
}

impl Person {
    fn authorization(&self) -> String {
        format!("Bearer {}", self.access_token())
    }
}

#[tokio::test]
async fn a_request_of_a_live_session_is_let_through_and_says_whose_it_is() {
    let world = World::new();
    let token = world.signed_in_person().await.access_token();
    let claims = crate::jwt_attacks::Parts::of(&token).claims;
    let expected = json!({"isAuthorized": true, "context": {"sub": claims["sub"], "sid": claims["sid"]}});
    assert!(ask(&world, Some(&format!("Bearer {token}"))).await == expected);
    assert!(ask(&world, Some(&format!("bearer {token}"))).await == expected);
    // Emulators of API Gateway keep the header's case.
    let mut event = event(None);
    event["headers"]["Authorization"] = format!("Bearer {token}").into();
    assert!(world.invoke("authorizer", event).await.unwrap() == expected);
}

#[tokio::test]
async fn a_request_without_a_good_token_is_refused() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let (token, refresh_token) = (person.access_token(), person.refresh_token());
    for authorization in [None, Some(""), Some("Bearer"), Some("Bearer x"), Some(token.as_str())] {
        assert!(ask(&world, authorization).await == refused());
    }
    for authorization in [format!("Basic {token}"), format!("Bearer {refresh_token}"), format!("Bearer {token},x")] {
        assert!(ask(&world, Some(&authorization)).await == refused());
    }
    // What API Gateway would take for an identity, but is no header of ours.
    let mut elsewhere = event(None);
    elsewhere["identitySource"] = json!([format!("Bearer {token}")]);
    elsewhere["queryStringParameters"] = json!({"access_token": token});
    assert!(world.invoke("authorizer", elsewhere).await.unwrap() == refused());
}

/// REST and WebSocket APIs, and payload format 1.0: they would not understand the answer, so there is none.
#[tokio::test]
async fn events_of_other_authorizers_are_errors_though_their_token_is_good() {
    let world = World::new();
    let authorization = world.signed_in_person().await.authorization();
    let with = |version: Value| {
        let mut event = event(Some(&authorization));
        event["version"] = version;
        event
    };
    let token = json!({"type": "TOKEN", "authorizationToken": authorization, "methodArn": "arn"});
    let rest = json!({"type": "REQUEST", "headers": {"Authorization": authorization}, "methodArn": "arn"});
    for other in [token, rest, with(json!("1.0")), with(Value::Null), with(json!(2)), json!("no event"), json!({})] {
        assert!(world.invoke("authorizer", other).await.is_err());
    }
    assert!(world.invoke("authorizer", with(json!("2.0"))).await.unwrap()["isAuthorized"] == true);
}

#[tokio::test]
async fn a_session_that_ends_is_refused_at_once() {
    let world = World::new();
    let phone = world.signed_in_person().await;
    let laptop = phone.on_another_device().signed_in().await;
    let tablet = phone.on_another_device().signed_in().await;
    phone.logout().await.expect(204);
    assert!(ask(&world, Some(&phone.authorization())).await == refused());
    assert!(ask(&world, Some(&laptop.authorization())).await["isAuthorized"] == true);
    tablet.change_password(NEW_PASSWORD).await.expect(200);
    assert!(ask(&world, Some(&laptop.authorization())).await == refused());
    assert!(ask(&world, Some(&tablet.authorization())).await["isAuthorized"] == true);
    world.advance(900);
    assert!(ask(&world, Some(&tablet.authorization())).await == refused());
}

#[tokio::test]
async fn its_issuer_is_latchkeys_and_not_that_of_the_api_that_asks() {
    let world = World::with(&[("JWT_ISSUER", "https://auth.example")]);
    let person = world.signed_in_person().await;
    assert!(ask(&world, Some(&person.authorization())).await["isAuthorized"] == true);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_judged_is_an_error_and_neither_yes_nor_no() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.emulator.faults().inject("BatchGetItem", Fault::Error("InternalServerError"), 100);
    let error = world.invoke("authorizer", event(Some(&person.authorization()))).await.unwrap_err();
    assert!(error.starts_with("temporarily-unavailable") && !error.contains("fault"), "{error}");
}
