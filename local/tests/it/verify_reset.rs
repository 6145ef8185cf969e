//! `POST /auth/verify-reset`

use serde_json::json;

use crate::harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, World, another_code};

#[tokio::test]
async fn the_right_code_sets_the_password_ends_every_session_and_verifies_the_phone() {
    let person = World::new().signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    person.reset_password(RESET_PASSWORD).await;

    for device in [&person, &laptop] {
        device.me().await.expect_problem(401, "invalid-token");
    }
    person.typing(PASSWORD).login().await.expect_problem(401, "invalid-credentials");
    person.typing(RESET_PASSWORD).login().await.expect(200);
    assert_eq!(person.me().await.expect(200).body["phone_verified"], true);
}

#[tokio::test]
async fn a_code_has_five_tries() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    for _ in 0..4 {
        person.verify_reset(&another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);

    world.advance(1);
    let code = person.reset_code().await;
    for _ in 0..5 {
        person.verify_reset(&another_code(&code), NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    person.typing(RESET_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn wrong_expired_used_and_never_sent_codes_get_the_same_answer() {
    let world = World::new();
    let person = world.person().await;
    let never_sent = person.verify_reset("123456", RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    let unknown = world.visitor(OTHER_PHONE).verify_reset("123456", RESET_PASSWORD).await;
    let code = person.reset_code().await;
    let wrong = person.verify_reset(&another_code(&code), RESET_PASSWORD).await;
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    let used = person.verify_reset(&code, NEW_PASSWORD).await;
    world.advance(1);
    let code = person.reset_code().await;
    world.advance(300);
    let expired = person.verify_reset(&code, NEW_PASSWORD).await;
    for other in [unknown, wrong, used, expired] {
        assert!(other.fingerprint() == never_sent.fingerprint());
    }
    person.typing(RESET_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn a_code_lives_for_five_minutes_although_its_item_lives_longer() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    world.advance(299);
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);

    let code = person.reset_code().await;
    world.advance(300);
    assert!(world.item("PHONE#", "OTP#reset")["codes"]["L"].is_array(), "nothing has collected it");
    person.verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn the_lifetime_and_the_tries_are_as_configured() {
    let world = World::with(&[("OTP_TTL_SECONDS", "60"), ("OTP_MAX_ATTEMPTS", "2")]);
    let person = world.person().await;
    let code = person.reset_code().await;
    world.advance(60);
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    let code = person.reset_code().await;
    for _ in 0..2 {
        person.verify_reset(&another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn wrong_codes_add_up_over_new_codes_to_a_hundred() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")]);
    let person = world.person().await;
    let mut judged = 0;
    let mut code = String::new();
    for _ in 0..20 {
        world.advance(300);
        code = person.reset_code().await;
        for _ in 0..5 {
            let reply = person.verify_reset(&another_code(&code), RESET_PASSWORD).await;
            judged += u32::from(reply.code() == "invalid-otp");
        }
    }
    assert_eq!(judged, 100);
    let wait = person.verify_reset(&code, RESET_PASSWORD).await.expect_limit("otp-phone");
    assert!(wait <= 24 * 3600);
    person.login().await.expect(200);

    // No message is paid for whose code would be refused. When the window is over, the next code begins a new one.
    world.advance(wait - 60);
    let sent = world.outbox.messages_after(0).1;
    assert_eq!(person.request_reset().await.expect_limit("otp-phone"), 60);
    assert_eq!(world.outbox.messages_after(0).1, sent);
    world.advance(60);
    person.reset_password(RESET_PASSWORD).await;
}

#[tokio::test]
async fn a_right_code_forgives_the_wrong_ones() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")]);
    let person = world.person().await;
    for _ in 0..30 {
        let code = person.reset_code().await;
        for _ in 0..4 {
            person.verify_reset(&another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
        }
        person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
        world.advance(300);
    }
}

#[tokio::test]
async fn a_code_is_for_its_own_phone() {
    let world = World::new();
    let (person, other) = (world.person().await, world.person_with_phone(OTHER_PHONE).await);
    let (code, other_code) = (person.reset_code().await, other.reset_code().await);
    if code != other_code {
        other.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    world.visitor("+20 10 1234 5678").verify_reset(&code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn what_is_no_text_of_six_digits_is_no_try() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    for otp in
        [json!(123_456), json!([code]), json!(""), json!(null), json!("12345"), json!("12345x"), json!("+123456")]
    {
        let body = json!({"phone": PHONE, "otp": otp, "new_password": RESET_PASSWORD});
        world.post("/auth/verify-reset", body).await.expect_fields(&["/otp"]);
    }
    assert_eq!(world.item("PHONE#", "OTP#reset")["attempts"]["N"], "0");
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn a_reset_signs_in_if_it_is_asked_to() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let laptop = person.on_another_device();
    let code = laptop.reset_code().await;
    let reset = async |person: &crate::harness::Person, totp: Option<String>| {
        let body = serde_json::json!({"phone": PHONE, "otp": code, "new_password": RESET_PASSWORD, "code": totp, "sign_in": true});
        person.post("/auth/verify-reset", body).await
    };
    reset(&laptop, None).await.expect_problem(403, "mfa-required");
    reset(&laptop, Some(person.authenticator().code())).await.expect(200);
    laptop.me().await.expect(200);
    person.me().await.expect_problem(401, "invalid-token");
    let amr = crate::jwt_attacks::Parts::of(&laptop.access_token()).claims["amr"].clone();
    assert_eq!(amr, serde_json::json!(["sms", "otp", "mfa"]));
    laptop.refresh().await.expect(200);
}
