//! `POST /auth/logout`

use http::Method;
use serde_json::json;

use crate::harness::{PASSWORD, Request, World};

#[tokio::test]
async fn this_session_ends_at_once_and_no_other() {
    let person = World::new().signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    let reply = person.logout().await.expect(204);
    assert!(reply.bytes.is_empty());
    person.me().await.expect_problem(401, "invalid-token");
    person.refresh().await.expect_problem(401, "invalid-token");
    laptop.me().await.expect(200);
}

#[tokio::test]
async fn the_end_of_a_session_that_has_ended_is_a_success() {
    let person = World::new().signed_in_person().await;
    for _ in 0..2 {
        person.logout().await.expect(204);
    }
    for made_up in ["no.such.token", ""] {
        person.bearing(made_up).logout().await.expect_problem(401, "invalid-token");
    }
}

/// People come back to a computer that others use as well, after their access token has expired.
#[tokio::test]
async fn an_expired_access_token_ends_its_session() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    world.advance(901);
    person.me().await.expect_problem(401, "invalid-token");
    person.logout().await.expect(204);
    person.refresh().await.expect_problem(401, "invalid-token");
    laptop.refresh().await.expect(200);
    // It ends nothing else.
    person.logout_all().await.expect_problem(401, "invalid-token");
    person.end_session("0b6f1c5e-3c1f-4d0a-9d55-3a1c8f7f2f10").await.expect_problem(401, "invalid-token");
    laptop.me().await.expect(200);
}

#[tokio::test]
async fn a_token_that_expired_long_ago_ends_its_session_while_its_key_is_known() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.advance(13 * 24 * 3600);
    person.logout().await.expect(204);
    person.refresh().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_refresh_token_alone_ends_its_session() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    let spent = person.with_copied_tokens();
    person.refresh().await.expect(200);
    world.advance(901);
    for device in [&spent, &person, &person] {
        let reply = device.logout_by_refresh_token().await.expect(204);
        assert!(reply.bytes.is_empty());
        person.refresh().await.expect_problem(401, "invalid-token");
    }
    laptop.refresh().await.expect(200);
    let token = laptop.refresh_token();
    for made_up in [token[1..].to_owned(), format!("{token}A"), laptop.access_token(), String::new()] {
        let body = json!({"refresh_token": made_up});
        world.post("/auth/logout", body).await.expect_problem(401, "invalid-token");
    }
    for wrong in [json!({"refresh_token": 1}), json!({"refresh_token": [token]})] {
        world.post("/auth/logout", wrong).await.expect_fields(&["/refresh_token"]);
    }
    laptop.me().await.expect(200);
}

#[tokio::test]
async fn either_token_is_enough_and_a_body_that_is_none_does_no_harm() {
    let world = World::new();
    for (body, with_access_token) in [
        (json!({}), true),
        (json!({"refresh_token": null}), true),
        (json!({"refresh_token": "garbage"}), true),
        (json!({"refresh_token": 1}), true),
        (json!("REFRESH"), false),
    ] {
        let person = world.visitor("01012345678");
        person.register().await;
        person.typing(PASSWORD).login().await.expect(200);
        let body = if body == "REFRESH" { json!({"refresh_token": person.refresh_token()}) } else { body };
        let request = Request::post("/auth/logout", body);
        let token = if with_access_token { person.access_token() } else { "no.such.token".to_owned() };
        world.send(request.bearer(&token)).await.expect(204);
        person.me().await.expect_problem(401, "invalid-token");
        person.refresh().await.expect_problem(401, "invalid-token");
    }
    let person = world.visitor("01012345678").signed_in().await;
    for body in [&b"not json"[..], b"[]", b"\xff"] {
        let request = Request::new(Method::POST, "/auth/logout").body("text/plain", body);
        world.send(request.bearer(&person.access_token())).await.expect(204);
    }
    world.post("/auth/logout", json!({})).await.expect_problem(401, "invalid-token");
    world.send(Request::new(Method::POST, "/auth/logout")).await.expect_problem(401, "invalid-token");
}
