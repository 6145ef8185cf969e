//! `POST /auth/change-password`

use serde_json::json;

use crate::harness::{NEW_PASSWORD, PASSWORD, PHONE, RESET_PASSWORD, Request, World};

#[tokio::test]
async fn the_new_password_counts_and_the_old_one_no_longer() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    let reply = world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    assert!(reply.bytes.is_empty());
    world.login(PHONE, PASSWORD).await.expect_problem(401, "invalid-credentials");
    world.login(PHONE, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn every_other_session_ends_and_this_one_stays() {
    let world = World::new().with_account().await;
    let (this, other) = (world.token(PASSWORD).await, world.token(PASSWORD).await);
    world.change_password(&this, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.me(&this).await.expect(200);
    world.me(&other).await.expect_problem(401, "invalid-token");
    world.change_password(&this, NEW_PASSWORD, PASSWORD).await.expect(204);
    world.me(&this).await.expect(200);
}

#[tokio::test]
async fn a_wrong_old_password_changes_nothing_and_counts_like_a_wrong_login() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    for _ in 0..3 {
        world.change_password(&token, "wrong password", NEW_PASSWORD).await.expect_problem(403, "wrong-password");
        world.login(PHONE, "wrong password").await.expect_problem(401, "invalid-credentials");
    }
    assert_eq!(world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect_limit("login-phone"), 2);
    assert_eq!(world.login(PHONE, PASSWORD).await.expect_limit("login-phone"), 2);
    world.advance(2);
    world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.login(PHONE, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn an_open_reset_code_dies_with_the_old_password() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    let code = world.code(PHONE).await;
    world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    world.login(PHONE, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    let check = async |body, fields: &[&str]| {
        world.send(Request::post("/auth/change-password", body).bearer(&token)).await.expect_fields(fields);
    };
    check(json!({}), &["/old_password", "/new_password"]).await;
    check(json!({"old_password": PASSWORD, "new_password": "short"}), &["/new_password"]).await;
    check(json!({"old_password": PASSWORD, "new_password": "password"}), &["/new_password"]).await;
    check(json!({"old_password": PASSWORD, "new_password": PHONE}), &["/new_password"]).await;
    world.login(PHONE, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn who_asks_must_be_signed_in() {
    let world = World::new().with_account().await;
    let body = json!({"old_password": PASSWORD, "new_password": NEW_PASSWORD});
    world.post("/auth/change-password", body).await.expect_problem(401, "invalid-token");
    world.change_password("no.such.token", PASSWORD, NEW_PASSWORD).await.expect_problem(401, "invalid-token");
    world.login(PHONE, PASSWORD).await.expect(200);
}
