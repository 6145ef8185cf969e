//! `GET /auth/sessions`, `DELETE /auth/sessions/{id}`

use http::Method;
use serde_json::{Value, json};

use crate::harness::{OTHER_PHONE, PASSWORD, PHONE, Request, World};

async fn list(world: &World, token: &str) -> Vec<Value> {
    let reply = world.bearer(Method::GET, "/auth/sessions", token).await.expect(200);
    reply.body["sessions"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_list_shows_device_address_times_and_which_one_asks() {
    let world = World::new().with_account().await;
    let body = json!({"phone": PHONE, "password": PASSWORD});
    let phone = "Mozilla/5.0 (Linux; Android 15) Chrome/131.0 Mobile Safari/537.36";
    let login = Request::post("/auth/login", body).header("user-agent", phone).from("198.51.100.4");
    let (_, first) = world.send(login).await.expect(200).tokens();
    world.advance(60);
    let second = world.token(PASSWORD).await;

    let sessions = list(&world, &second).await;
    assert_eq!(sessions.len(), 2);
    assert_eq!((&sessions[0]["current"], &sessions[1]["current"]), (&json!(true), &json!(false)));
    assert_eq!(sessions[0]["device"], "Unknown device");
    assert_eq!(sessions[1]["device"], "Chrome on Android");
    assert_eq!(sessions[1]["address"], "198.51.100.4");
    assert_eq!(sessions[1]["created_at"], "2027-01-15T08:00:00Z");
    let members: Vec<_> = sessions[0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["address", "created_at", "current", "device", "id", "last_used_at"]);

    world.advance(60);
    world.refresh(&first).await.expect(200);
    let sessions = list(&world, &second).await;
    assert_eq!(sessions[0]["last_used_at"], "2027-01-15T08:02:00Z", "the last used first");
}

#[tokio::test]
async fn only_sessions_that_live_are_shown() {
    let world = World::new().with_account().await;
    let (out, _) = world.tokens(PASSWORD).await;
    world.bearer(Method::POST, "/auth/logout", &out).await.expect(204);
    world.token(PASSWORD).await;
    let token = world.token(PASSWORD).await;
    assert_eq!(list(&world, &token).await.len(), 2);
    world.change_password(&token, PASSWORD, "a new password").await.expect(204);
    assert_eq!(list(&world, &token).await.len(), 1);
    world.bearer(Method::GET, "/auth/sessions", &out).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn another_session_is_ended_by_its_identifier() {
    let world = World::new().with_account().await;
    let ((ended, refresh), token) = (world.tokens(PASSWORD).await, world.token(PASSWORD).await);
    let sessions = list(&world, &token).await;
    let other = sessions.iter().find(|session| session["current"] == false).unwrap()["id"].as_str().unwrap();
    world.bearer(Method::DELETE, &format!("/auth/sessions/{other}"), &token).await.expect(204);
    world.me(&ended).await.expect_problem(401, "invalid-token");
    world.refresh(&refresh).await.expect_problem(401, "invalid-token");
    world.me(&token).await.expect(200);
    world.bearer(Method::DELETE, &format!("/auth/sessions/{other}"), &token).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn another_users_session_and_what_is_none_are_not_found() {
    let world = World::new().with_account().await;
    world.register(OTHER_PHONE, PASSWORD).await.expect(201);
    let theirs = world.login(OTHER_PHONE, PASSWORD).await.expect(200).tokens().0;
    let their_id = list(&world, &theirs).await[0]["id"].as_str().unwrap().to_owned();
    let token = world.token(PASSWORD).await;
    for id in [their_id.as_str(), &their_id.to_uppercase(), "nothing", "PROFILE", "%2e%2e", "..%2fPROFILE"] {
        world.bearer(Method::DELETE, &format!("/auth/sessions/{id}"), &token).await.expect_problem(404, "not-found");
    }
    world.me(&theirs).await.expect(200);
    world.send(Request::new(Method::DELETE, "/auth/sessions/x")).await.expect_problem(401, "invalid-token");
}

/// Whoever asks for codes to many phones must not make each login read them all.
#[tokio::test]
async fn what_is_read_for_a_login_does_not_grow_with_codes_and_second_steps() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    world.mfa_token(PASSWORD).await;
    let code = factor.code(&world);
    let body = json!({"password": PASSWORD, "phone": OTHER_PHONE, "code": code});
    world.send(Request::post("/auth/change-phone", body).bearer(&factor.token)).await.expect(202);
    let user = world.me(&factor.token).await.expect(200).text("id").to_owned();
    let sorts: Vec<_> =
        world.items(&format!("USER#{user}")).iter().map(|item| item["sk"]["S"].as_str().unwrap().to_owned()).collect();
    let (before, after): (Vec<_>, Vec<_>) = sorts.iter().partition(|sort| sort.as_str() < "PROFILE");
    assert!(before.len() >= 3, "codes, factor, second step: {before:?}");
    assert!(after.iter().all(|sort| *sort == "PROFILE" || sort.starts_with("SESSION#")), "{after:?}");
}
