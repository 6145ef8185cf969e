//! `POST /auth/verify-phone`

use serde_json::json;

use crate::harness::{E164, NEW_PASSWORD, World};

#[tokio::test]
async fn a_code_goes_to_the_callers_phone_and_names_its_purpose() {
    let world = World::new();
    let person = world.signed_in_person().await;
    assert_eq!(person.verify_phone().await.expect(202).body, json!({}), "no code in the answer");
    let message = world.outbox.messages().remove(0);
    assert_eq!(message.to.as_e164(), E164);
    assert!(message.text.contains("confirm this phone number"));
}

#[tokio::test]
async fn codes_are_in_answers_for_development_alone() {
    let person = World::with(&[("OTP_EXPOSE", "true")]).signed_in_person().await;
    let reply = person.verify_phone().await.expect(202);
    assert!(reply.text("otp") == person.code());
}

#[tokio::test]
async fn a_phone_that_is_confirmed_is_sent_nothing() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.verify_phone().await.expect(202);
    person.confirm_phone(&person.code()).await.expect(204);
    world.advance(2);
    person.verify_phone().await.expect(204);
    assert_eq!(world.outbox.messages().len(), 1);
}

#[tokio::test]
async fn it_has_the_budgets_of_every_message() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "2")]);
    let person = world.signed_in_person().await;
    person.verify_phone().await.expect(202);
    person.verify_phone().await.expect_limit("messages-cooldown");
    for _ in 0..3 {
        world.advance(2);
        // A stranger can ask for a reset, and must not use up what the owner has.
        person.request_reset().await.expect(202);
    }
    person.verify_phone().await.expect(202);
    world.advance(2);
    person.verify_phone().await.expect_limit("messages-phone");
}

#[tokio::test]
async fn a_phone_that_the_provider_refuses_is_told() {
    let world = World::with(&[("SMS_PROVIDER", "sns")]);
    let person = world.signed_in_person().await;
    world.emulator.sns().fail_with(Some((400, "OptedOut", "opted out")));
    let reply = person.verify_phone().await.expect_fields(&[""]);
    assert_eq!(reply.body["errors"][0]["detail"], "the phone cannot receive our messages");
}

#[tokio::test]
async fn a_message_that_was_not_sent_is_503_and_no_code() {
    let world = World::with(&[("SMS_PROVIDER", "sns")]);
    let person = world.signed_in_person().await;
    world.emulator.sns().fail_with(Some((403, "AuthorizationError", "no")));
    person.verify_phone().await.expect_problem(503, "temporarily-unavailable");
    assert!(
        world.item("PHONE#", "OTP#verify-phone")["not_sent"]["SS"].as_array().is_some_and(|marked| marked.len() == 1)
    );
    world.emulator.sns().fail_with(None);
    person.verify_phone().await.expect(202);
}

#[tokio::test]
async fn it_needs_a_session_that_lives() {
    let person = World::new().signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    person.change_password(NEW_PASSWORD).await.expect(200);
    laptop.verify_phone().await.expect_problem(401, "invalid-token");
    person.on_another_device().verify_phone().await.expect_problem(401, "invalid-token");
}
