//! `POST /auth/verify-phone/confirm`

use serde_json::json;

use crate::harness::{NEW_PASSWORD, OTHER_PHONE, Person, Reply, World, another_code};

/// Somebody who has asked to confirm their phone, and the code that they were sent.
async fn confirming() -> (World, Person, String) {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.verify_phone().await.expect(202);
    let code = person.code();
    (world, person, code)
}

#[tokio::test]
async fn the_right_code_confirms_the_phone_and_ends_no_session() {
    let (_, person, code) = confirming().await;
    assert_eq!(person.me().await.expect(200).body["phone_verified"], false);
    person.confirm_phone(&code).await.expect(204);
    assert_eq!(person.me().await.expect(200).body["phone_verified"], true);
}

#[tokio::test]
async fn a_code_has_five_tries_counted_before_they_are_compared() {
    let (_, person, code) = confirming().await;
    for _ in 0..5 {
        person.confirm_phone(&another_code(&code)).await.expect_problem(400, "invalid-otp");
    }
    person.confirm_phone(&code).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn a_code_dies_after_its_time_and_with_a_change_of_password() {
    let (world, person, code) = confirming().await;
    world.advance(300);
    person.confirm_phone(&code).await.expect_problem(400, "invalid-otp");
    person.verify_phone().await.expect(202);
    let code = person.code();
    person.change_password(NEW_PASSWORD).await.expect(200);
    person.confirm_phone(&code).await.expect_problem(400, "invalid-otp");
    assert_eq!(person.me().await.expect(200).body["phone_verified"], false);
}

#[tokio::test]
async fn a_code_for_one_purpose_serves_no_other() {
    let (_, person, code) = confirming().await;
    person.verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    let reset = person.reset_code().await;
    if reset != code {
        person.confirm_phone(&reset).await.expect_problem(400, "invalid-otp");
    }
    person.confirm_phone(&code).await.expect(204);
}

/// Two codes arrived, or two devices asked: the phone is verified, whichever of them is typed after that.
#[tokio::test]
async fn a_phone_that_is_verified_already_needs_no_code() {
    let (world, person, first) = confirming().await;
    world.advance(1);
    person.verify_phone().await.expect(202);
    let second = person.code();
    person.confirm_phone(&second).await.expect(204);
    for code in [first.as_str(), second.as_str(), another_code(&second).as_str()] {
        person.confirm_phone(code).await.expect(204);
    }
    assert_eq!(person.me().await.expect(200).body["phone_verified"], true);
}

#[tokio::test]
async fn a_code_is_for_its_own_account() {
    let (world, _, code) = confirming().await;
    let other = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    other.confirm_phone(&code).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn wrong_fields_and_missing_tokens_are_named() {
    let (world, person, _) = confirming().await;
    for otp in [json!(null), json!(123_456), json!("12345"), json!("12345x")] {
        person.post("/auth/verify-phone/confirm", json!({ "otp": otp })).await.expect_fields(&["/otp"]);
    }
    world.post("/auth/verify-phone/confirm", json!({"otp": "123456"})).await.expect_problem(401, "invalid-token");
}

/// A stranger who registers somebody else's number, guesses, and begins again with another account on it, has no fresh
/// guesses.
#[tokio::test]
async fn wrong_codes_add_up_over_the_accounts_of_a_phone() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "100"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")]);
    for round in 0..20 {
        let stranger = world.signed_in_person().await;
        stranger.verify_phone().await.expect(202);
        let code = stranger.code();
        for _ in 0..5 {
            stranger.confirm_phone(&another_code(&code)).await.expect_problem(400, "invalid-otp");
        }
        world.advance(2);
        // One way of leaving the number, or the other.
        if round % 2 == 0 {
            stranger.delete_account().await.expect(204)
        } else {
            stranger.moved_away(round).await
        };
    }
    let sent = world.outbox.messages().len();
    let stranger = world.signed_in_person().await;
    let wait = stranger.verify_phone().await.expect_limit("otp-phone");
    assert_eq!(world.outbox.messages().len(), sent);
    // Signing in does not depend on it, nor does the reset, and the count ends with its window.
    stranger.on_another_device().sign_in().await;
    world.advance(wait);
    stranger.sign_in().await;
    stranger.verify_own_phone().await;
}

impl Person {
    /// Changes to a phone of their own.
    async fn moved_away(&self, round: usize) -> Reply {
        self.change_phone_verify(&self.code_for(&format!("010123456{round:02}")).await).await.expect(200)
    }
}
