//! `POST /auth/change-phone`

use serde_json::json;

use crate::harness::{E164, OTHER_PHONE, PASSWORD, PHONE, Request, World};

#[tokio::test]
async fn the_code_goes_to_the_new_phone_and_nothing_changes_yet() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    assert_eq!(world.change_phone(&token, PASSWORD, OTHER_PHONE).await.expect(202).body, json!({}));
    let message = world.outbox.messages().remove(0);
    assert_eq!(message.to.as_e164(), "+201112345678");
    assert!(message.text.contains("use this phone number for your account"));
    assert_eq!(world.me(&token).await.expect(200).text("phone"), E164);
    world.token(PASSWORD).await;
}

#[tokio::test]
async fn the_password_is_asked_for_again_and_wrong_ones_count() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    for _ in 0..6 {
        world.change_phone(&token, "wrong password", OTHER_PHONE).await.expect_problem(403, "wrong-password");
    }
    world.change_phone(&token, PASSWORD, OTHER_PHONE).await.expect_limit("login-phone");
    assert!(world.outbox.messages().is_empty());
}

#[tokio::test]
async fn the_right_password_is_no_failure() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    for _ in 0..9 {
        world.change_phone(&token, PASSWORD, OTHER_PHONE).await.expect(202);
        world.advance(2);
    }
    world.login(PHONE, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_phone_that_is_taken_gets_the_same_answer() {
    let world = World::new().with_account().await;
    world.register(OTHER_PHONE, PASSWORD).await.expect(201);
    let token = world.token(PASSWORD).await;
    let of_a_taken_one = world.change_phone(&token, PASSWORD, OTHER_PHONE).await;
    let of_a_free_one = world.change_phone(&token, PASSWORD, "01212345678").await;
    assert!(of_a_taken_one.fingerprint() == of_a_free_one.fingerprint());
}

#[tokio::test]
async fn wrong_fields_and_missing_tokens_are_named() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.change_phone(&token, PASSWORD, PHONE).await.expect_fields(&["/phone"]);
    world.change_phone(&token, PASSWORD, E164).await.expect_fields(&["/phone"]);
    world.change_phone(&token, PASSWORD, "12").await.expect_fields(&["/phone"]);
    let empty = Request::post("/auth/change-phone", json!({})).bearer(&token);
    world.send(empty).await.expect_fields(&["/password", "/phone"]);
    world.post("/auth/change-phone", json!({})).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_number_that_the_provider_refuses_is_named() {
    let world = World::with(&[("SMS_PROVIDER", "sns")]).with_account().await;
    let token = world.token(PASSWORD).await;
    world.emulator.sns().fail_with(Some((400, "OptedOut", "opted out")));
    world.change_phone(&token, PASSWORD, OTHER_PHONE).await.expect_fields(&["/phone"]);
    world.emulator.sns().fail_with(Some((400, "Throttled", "slower")));
    world.change_phone(&token, PASSWORD, OTHER_PHONE).await.expect_problem(503, "temporarily-unavailable");
}
