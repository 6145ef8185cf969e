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

/// A limit that would refuse the code is asked before the factor is used up.
#[tokio::test]
async fn a_limit_uses_up_no_second_factor() {
    for (variables, bucket) in [
        (("OTP_RESEND_COOLDOWN", "60"), "messages-cooldown"),
        (("LIMIT_PHONES_PER_ADDRESS", "2"), "address-phones"),
        (("LIMIT_MESSAGES_PER_PHONE", "1"), "messages-phone"),
    ] {
        let world = World::with(&[variables]);
        let person = world.person_with_factor().await;
        person.with_recovery_code(0).change_phone(OTHER_PHONE).await.expect(202);
        world.advance(1);
        let other = if bucket == "address-phones" { THIRD_PHONE } else { OTHER_PHONE };
        let unused = || world.item("USER#", "MFA")["recovery_codes"]["SS"].as_array().map(Vec::len);
        let before = unused();
        for at in 1..4 {
            person.with_recovery_code(at).change_phone(other).await.expect_limit(bucket);
        }
        person.with_code().change_phone(other).await.expect_limit(bucket);
        assert_eq!(unused(), before, "{bucket}");
        let laptop = person.on_another_device();
        laptop.first_step().await;
        laptop.with_code().login_mfa().await.expect(200);
    }
}
