//! `POST /auth/verify-phone/confirm`

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, Request, World, another_code};

/// A world whose account has asked for a code: it, a token and the code.
async fn asked() -> (World, String, String) {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.verify_phone(&token).await.expect(202);
    let code = world.last_code();
    (world, token, code)
}

#[tokio::test]
async fn the_right_code_confirms_the_phone_and_ends_no_session() {
    let (world, token, code) = asked().await;
    assert_eq!(world.me(&token).await.expect(200).body["phone_verified"], false);
    world.confirm_phone(&token, &code).await.expect(204);
    assert_eq!(world.me(&token).await.expect(200).body["phone_verified"], true);
    world.confirm_phone(&token, &code).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn of_many_right_codes_at_once_one_counts() {
    let (world, token, code) = asked().await;
    let replies = join_all((0..8).map(|_| world.confirm_phone(&token, &code))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 204).count(), 1);
    assert!(replies.iter().all(|reply| [204, 400].contains(&reply.status)));
}

#[tokio::test]
async fn a_code_has_five_tries_counted_before_they_are_compared() {
    let (world, token, code) = asked().await;
    for _ in 0..5 {
        world.confirm_phone(&token, &another_code(&code)).await.expect_problem(400, "invalid-otp");
    }
    world.confirm_phone(&token, &code).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn a_code_dies_after_its_time_and_with_a_change_of_password() {
    let (world, token, code) = asked().await;
    world.advance(300);
    world.confirm_phone(&token, &code).await.expect_problem(400, "invalid-otp");
    world.verify_phone(&token).await.expect(202);
    let code = world.last_code();
    world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.confirm_phone(&token, &code).await.expect_problem(400, "invalid-otp");
    assert_eq!(world.me(&token).await.expect(200).body["phone_verified"], false);
}

#[tokio::test]
async fn a_code_for_one_purpose_serves_no_other() {
    let (world, token, code) = asked().await;
    world.verify_reset(PHONE, &code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    let reset = world.code(PHONE).await;
    if reset != code {
        world.confirm_phone(&token, &reset).await.expect_problem(400, "invalid-otp");
    }
    world.confirm_phone(&token, &code).await.expect(204);
}

#[tokio::test]
async fn a_code_is_for_its_own_account() {
    let (world, _, code) = asked().await;
    world.register(OTHER_PHONE, PASSWORD).await.expect(201);
    let other = world.login(OTHER_PHONE, PASSWORD).await.expect(200).tokens().0;
    world.confirm_phone(&other, &code).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn wrong_fields_and_missing_tokens_are_named() {
    let (world, token, _) = asked().await;
    for otp in [json!(null), json!(123_456), json!("12345"), json!("١٢٣٤٥٦")] {
        let request = Request::post("/auth/verify-phone/confirm", json!({ "otp": otp })).bearer(&token);
        world.send(request).await.expect_fields(&["/otp"]);
    }
    world.post("/auth/verify-phone/confirm", json!({"otp": "123456"})).await.expect_problem(401, "invalid-token");
}
