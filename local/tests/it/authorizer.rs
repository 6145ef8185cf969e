//! `authorizer`: what other HTTP APIs are told of a request to them.

use http::Method;
use local::emulator::Fault;
use serde_json::{Value, json};

use crate::harness::{NEW_PASSWORD, PASSWORD, PHONE, World, file};

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

#[tokio::test]
async fn a_request_of_a_live_session_is_let_through_and_says_whose_it_is() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
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
    let world = World::new().with_account().await;
    let (token, refresh_token) = world.tokens(PASSWORD).await;
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
    assert!(world.invoke("authorizer", json!({"type": "TOKEN"})).await.unwrap() == refused());
    assert!(world.invoke("authorizer", json!("no event")).await.is_err());
}

#[tokio::test]
async fn a_session_that_ends_is_refused_at_once() {
    let world = World::new().with_account().await;
    let bearer = |token: &str| format!("Bearer {token}");
    let (first, second, third) =
        (world.token(PASSWORD).await, world.token(PASSWORD).await, world.token(PASSWORD).await);
    world.bearer(Method::POST, "/auth/logout", &first).await.expect(204);
    assert!(ask(&world, Some(&bearer(&first))).await == refused());
    assert!(ask(&world, Some(&bearer(&second))).await["isAuthorized"] == true);
    world.change_password(&third, PASSWORD, NEW_PASSWORD).await.expect(204);
    assert!(ask(&world, Some(&bearer(&second))).await == refused());
    assert!(ask(&world, Some(&bearer(&third))).await["isAuthorized"] == true);
    world.advance(900);
    assert!(ask(&world, Some(&bearer(&third))).await == refused());
}

#[tokio::test]
async fn its_issuer_is_latchkeys_and_not_that_of_the_api_that_asks() {
    let world = World::with(&[("JWT_ISSUER", "https://auth.example")]).with_account().await;
    let token = world.login(PHONE, PASSWORD).await.expect(200).text("access_token").to_owned();
    assert!(ask(&world, Some(&format!("Bearer {token}"))).await["isAuthorized"] == true);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_judged_is_an_error_and_neither_yes_nor_no() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.emulator.faults().inject("BatchGetItem", Fault::Error("InternalServerError"), 100);
    let error = world.invoke("authorizer", event(Some(&format!("Bearer {token}")))).await.unwrap_err();
    assert!(error.starts_with("temporarily-unavailable") && !error.contains("fault"), "{error}");
}
