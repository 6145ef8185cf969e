//! `POST /auth/change-phone`

use serde_json::json;

use crate::harness::{E164, OTHER_E164, OTHER_PHONE, PHONE, THIRD_PHONE, World};

#[tokio::test]
async fn the_code_goes_to_the_new_phone_and_nothing_changes_yet() {
    let world = World::new();
    let person = world.signed_in_person().await;
    assert_eq!(person.change_phone(OTHER_PHONE).await.expect(202).body, json!({}));
    let message = world.outbox.messages().remove(0);
    assert_eq!(message.to.as_e164(), OTHER_E164);
    assert!(message.text.contains("use this phone number for your account"));
    assert_eq!(person.me().await.expect(200).text("phone"), E164);
    person.sign_in().await;
}

#[tokio::test]
async fn the_password_is_asked_for_again_and_wrong_ones_count() {
    let world = World::new();
    let person = world.signed_in_person().await;
    for _ in 0..6 {
        person.mistyping().change_phone(OTHER_PHONE).await.expect_problem(403, "wrong-password");
    }
    person.change_phone(OTHER_PHONE).await.expect_limit("login-session");
    assert!(world.outbox.messages().is_empty());
}

#[tokio::test]
async fn the_right_password_is_no_failure() {
    let world = World::new();
    let person = world.signed_in_person().await;
    for _ in 0..9 {
        person.change_phone(OTHER_PHONE).await.expect(202);
        world.advance(2);
    }
    person.login().await.expect(200);
}

#[tokio::test]
async fn a_phone_that_is_taken_gets_the_same_answer() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.person_with_phone(OTHER_PHONE).await;
    let of_a_taken_one = person.change_phone(OTHER_PHONE).await;
    let of_a_free_one = person.change_phone(THIRD_PHONE).await;
    assert!(of_a_taken_one.fingerprint() == of_a_free_one.fingerprint());
}

#[tokio::test]
async fn wrong_fields_and_missing_tokens_are_named() {
    let world = World::new();
    let person = world.signed_in_person().await;
    for refused in [PHONE, E164, "12"] {
        person.change_phone(refused).await.expect_fields(&["/phone"]);
    }
    person.post("/auth/change-phone", json!({})).await.expect_fields(&["/password", "/phone"]);
    world.post("/auth/change-phone", json!({})).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_number_that_the_provider_refuses_is_named() {
    let world = World::with(&[("SMS_PROVIDER", "sns")]);
    let person = world.signed_in_person().await;
    world.emulator.sns().fail_with(Some((400, "OptedOut", "opted out")));
    person.change_phone(OTHER_PHONE).await.expect_fields(&["/phone"]);
    world.emulator.sns().fail_with(Some((400, "Throttled", "slower")));
    person.change_phone(OTHER_PHONE).await.expect_problem(503, "temporarily-unavailable");
}
