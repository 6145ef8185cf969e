//! `POST /auth/verify-phone`

use serde_json::json;

use crate::harness::{E164, NEW_PASSWORD, PASSWORD, PHONE, World};

#[tokio::test]
async fn a_code_goes_to_the_callers_phone_and_names_its_purpose() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    assert_eq!(world.verify_phone(&token).await.expect(202).body, json!({}), "no code in the answer");
    let message = world.outbox.messages().remove(0);
    assert_eq!(message.to.as_e164(), E164);
    assert!(message.text.contains("confirm this phone number"));
}

#[tokio::test]
async fn codes_are_in_answers_for_development_alone() {
    let world = World::with(&[("OTP_EXPOSE", "true")]).with_account().await;
    let token = world.token(PASSWORD).await;
    let otp = world.verify_phone(&token).await.expect(202).text("otp").to_owned();
    assert!(otp == world.last_code());
}

#[tokio::test]
async fn a_phone_that_is_confirmed_is_sent_nothing() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.verify_phone(&token).await.expect(202);
    world.confirm_phone(&token, &world.last_code()).await.expect(204);
    world.advance(2);
    world.verify_phone(&token).await.expect(204);
    assert_eq!(world.outbox.messages().len(), 1);
}

#[tokio::test]
async fn it_has_the_budgets_of_every_message() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "2")]).with_account().await;
    let token = world.token(PASSWORD).await;
    world.verify_phone(&token).await.expect(202);
    world.verify_phone(&token).await.expect_limit("messages-cooldown");
    world.advance(2);
    world.request_reset(PHONE).await.expect(202);
    world.verify_phone(&token).await.expect_limit("messages-phone");
}

#[tokio::test]
async fn a_message_that_was_not_sent_is_503_and_no_code() {
    let world = World::with(&[("SMS_PROVIDER", "sns")]).with_account().await;
    let token = world.token(PASSWORD).await;
    world.emulator.sns().fail_with(Some((403, "AuthorizationError", "no")));
    world.verify_phone(&token).await.expect_problem(503, "temporarily-unavailable");
    assert!(world.item("PHONE#", "OTP#verify-phone").get("code_mac").is_none());
    world.emulator.sns().fail_with(None);
    world.verify_phone(&token).await.expect(202);
}

#[tokio::test]
async fn it_needs_a_session_that_lives() {
    let world = World::new().with_account().await;
    let (token, ended) = (world.token(PASSWORD).await, world.token(PASSWORD).await);
    world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.verify_phone(&ended).await.expect_problem(401, "invalid-token");
    world.post("/auth/verify-phone", json!({})).await.expect_problem(401, "invalid-token");
}
