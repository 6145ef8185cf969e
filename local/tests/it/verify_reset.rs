//! `POST /auth/verify-reset`

use serde_json::json;

use crate::harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, World, another_code};

#[tokio::test]
async fn the_right_code_sets_the_password_ends_every_session_and_verifies_the_phone() {
    let world = World::new().with_account().await;
    let sessions = [world.token(PASSWORD).await, world.token(PASSWORD).await];
    let code = world.code(PHONE).await;
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);

    for token in &sessions {
        world.me(token).await.expect_problem(401, "invalid-token");
    }
    world.login(PHONE, PASSWORD).await.expect_problem(401, "invalid-credentials");
    let token = world.token(RESET_PASSWORD).await;
    assert_eq!(world.me(&token).await.expect(200).body["phone_verified"], true);
}

#[tokio::test]
async fn a_code_has_five_tries() {
    let world = World::new().with_account().await;
    let code = world.code(PHONE).await;
    let wrong = another_code(&code);
    for _ in 0..4 {
        world.verify_reset(PHONE, &wrong, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);

    world.advance(1);
    let code = world.code(PHONE).await;
    let wrong = another_code(&code);
    for _ in 0..5 {
        world.verify_reset(PHONE, &wrong, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    world.verify_reset(PHONE, &code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    world.login(PHONE, RESET_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn wrong_expired_used_and_never_sent_codes_get_the_same_answer() {
    let world = World::new().with_account().await;
    let never_sent = world.verify_reset(PHONE, "123456", RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    let unknown = world.verify_reset(OTHER_PHONE, "123456", RESET_PASSWORD).await;
    let code = world.code(PHONE).await;
    let wrong = world.verify_reset(PHONE, &another_code(&code), RESET_PASSWORD).await;
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
    let used = world.verify_reset(PHONE, &code, NEW_PASSWORD).await;
    world.advance(1);
    let code = world.code(PHONE).await;
    world.advance(300);
    let expired = world.verify_reset(PHONE, &code, NEW_PASSWORD).await;
    for other in [unknown, wrong, used, expired] {
        assert!(other.fingerprint() == never_sent.fingerprint());
    }
    world.login(PHONE, RESET_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_code_lives_for_five_minutes_although_its_item_lives_longer() {
    let world = World::new().with_account().await;
    let code = world.code(PHONE).await;
    world.advance(299);
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);

    let code = world.code(PHONE).await;
    world.advance(300);
    assert!(world.item("PHONE#", "OTP#reset")["code_mac"]["B"].is_string(), "nothing has collected it");
    world.verify_reset(PHONE, &code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn the_lifetime_and_the_tries_are_as_configured() {
    let world = World::with(&[("OTP_TTL_SECONDS", "60"), ("OTP_MAX_ATTEMPTS", "2")]).with_account().await;
    let code = world.code(PHONE).await;
    world.advance(60);
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    let code = world.code(PHONE).await;
    for _ in 0..2 {
        world.verify_reset(PHONE, &another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn wrong_codes_add_up_over_new_codes_to_a_hundred() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")])
        .with_account()
        .await;
    let mut judged = 0;
    for _ in 0..25 {
        let code = world.code(PHONE).await;
        for _ in 0..5 {
            let reply = world.verify_reset(PHONE, &another_code(&code), RESET_PASSWORD).await;
            judged += u32::from(reply.code() == "invalid-otp");
        }
        world.advance(300);
    }
    assert_eq!(judged, 100);
    world.code(PHONE).await;
    let code = world.last_code();
    let wait = world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect_limit("otp-phone");
    assert!(wait > 29 * 24 * 3600 && wait <= 30 * 24 * 3600);
    world.login(PHONE, PASSWORD).await.expect(200);

    // A code of the last minute of the window stays closed when it is over; the next begins a new one.
    world.advance(wait - 60);
    let code = world.code(PHONE).await;
    world.advance(61);
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    let code = world.code(PHONE).await;
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn a_right_code_forgives_the_wrong_ones() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")])
        .with_account()
        .await;
    for _ in 0..30 {
        let code = world.code(PHONE).await;
        for _ in 0..4 {
            world.verify_reset(PHONE, &another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
        }
        world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
        world.advance(300);
    }
}

#[tokio::test]
async fn a_code_is_for_its_own_phone() {
    let world = World::new().with_account().await;
    world.register(OTHER_PHONE, PASSWORD).await.expect(201);
    let code = world.code(PHONE).await;
    let other_code = world.code(OTHER_PHONE).await;
    if code != other_code {
        world.verify_reset(OTHER_PHONE, &code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    world.verify_reset("+20 10 1234 5678", &code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn only_six_ascii_digits_are_a_try() {
    let world = World::new().with_account().await;
    let code = world.code(PHONE).await;
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    let full_width: String = code.chars().map(|c| char::from_u32(c as u32 - 0x30 + 0xff10).unwrap()).collect();
    let others = [
        json!(spaced),
        json!(format!(" {code}")),
        json!(format!("+{code}")),
        json!(full_width),
        json!(code.parse::<u32>().unwrap()),
        json!([code.clone()]),
        json!(""),
        json!(null),
    ];
    for otp in others {
        let body = json!({"phone": PHONE, "otp": otp, "new_password": RESET_PASSWORD});
        world.post("/auth/verify-reset", body).await.expect_fields(&["/otp"]);
    }
    assert_eq!(world.item("PHONE#", "OTP#reset")["attempts"]["N"], "0");
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn a_new_password_that_is_refused_spends_no_try() {
    let world = World::new().with_account().await;
    let code = world.code(PHONE).await;
    for new_password in ["short", "password", PHONE] {
        world.verify_reset(PHONE, &code, new_password).await.expect_fields(&["/new_password"]);
    }
    world.post("/auth/verify-reset", json!({})).await.expect_fields(&["/phone", "/otp", "/new_password"]);
    assert_eq!(world.item("PHONE#", "OTP#reset")["attempts"]["N"], "0");
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn code_tries_count_with_the_address() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "3"), ("OTP_TTL_SECONDS", "600")]).with_account().await;
    let code = world.code(PHONE).await;
    for _ in 0..3 {
        world.verify_reset(PHONE, &another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    for _ in 0..5 {
        world.verify_reset(PHONE, &another_code(&code), RESET_PASSWORD).await.expect_limit("login-address");
    }
    let item = world.item("PHONE#", "OTP#reset");
    let counts = (item["attempts"]["N"].as_str(), item["failures"]["N"].as_str());
    assert_eq!(counts, (Some("3"), Some("3")), "the code's own tries are not used up");
    world.advance(300);
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
}
