//! `POST /auth/mfa/enroll`

use serde_json::json;

use crate::harness::{PHONE, RESET_PASSWORD, World};

#[tokio::test]
async fn an_authenticator_is_told_the_secret_in_three_ways() {
    let person = World::with(&[("SERVICE_NAME", "My Shop")]).signed_in_person().await;
    let reply = person.enroll().await;
    let (secret, uri) = (reply.text("secret"), reply.text("otpauth_uri"));
    assert_eq!(secret.len(), 32);
    assert!(uri.starts_with("otpauth://totp/My%20Shop:%2B201012345678?secret=") && uri.contains(secret));
    assert!(uri.ends_with("&issuer=My%20Shop&algorithm=SHA1&digits=6&period=30"));
    let svg = reply.text("qr_svg");
    assert!(svg.contains("<svg") && svg.ends_with("</svg>") && !svg.contains("href") && !svg.contains("script"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn nothing_is_on_before_a_right_code() {
    let person = World::new().signed_in_person().await;
    person.enroll().await;
    assert_eq!(person.me().await.expect(200).body["mfa_enabled"], false);
    person.login().await.expect(200);
}

/// Somebody who registered a number that is not theirs must not be able to keep its owner out: a reset would ask for a
/// factor that its owner never had.
#[tokio::test]
async fn a_phone_that_nobody_has_confirmed_gets_no_second_factor() {
    let world = World::new();
    let stranger = world.signed_in_person().await;
    stranger.mfa_enroll().await.expect_problem(403, "phone-not-verified");
    // Its owner takes it over, by the code that only they can read.
    let owner = world.visitor(PHONE);
    owner.reset_password(RESET_PASSWORD).await;
    stranger.me().await.expect_problem(401, "invalid-token");
    owner.sign_in().await;
    owner.mfa_enroll().await.expect(200);
}

#[tokio::test]
async fn the_password_is_asked_for_and_a_token_alone_is_not_enough() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.verify_own_phone().await;
    person.mistyping().mfa_enroll().await.expect_problem(403, "wrong-password");
    person.bearing("no token").mfa_enroll().await.expect_problem(401, "invalid-token");
    person.post("/auth/mfa/enroll", json!({})).await.expect_fields(&["/password"]);
    assert!(world.items("USER#").iter().all(|item| !item["sk"]["S"].as_str().unwrap().starts_with("MFA")));
}

#[tokio::test]
async fn the_table_holds_the_secret_encrypted() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let enrolled = person.enroll().await;
    let all = serde_json::to_string(&world.items("")).unwrap();
    assert!(!all.contains(enrolled.text("secret")));
    let item = world.item("USER#", "MFA#ENROLLMENT");
    assert!(item["totp_secret"]["B"].is_string() && item["expires_at"]["N"].is_string());
}

#[tokio::test]
async fn whoever_has_a_second_factor_shows_it_before_it_is_replaced() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let laptop = person.on_another_device();
    let (old, old_recovery_code) = (person.authenticator(), person.recovery_codes().remove(0));
    person.mfa_enroll().await.expect_problem(403, "mfa-required");
    person.with_code().mfa_enroll().await.expect(200);
    let new = person.new_authenticator();

    // Until the new one is confirmed the old one counts.
    world.advance(30);
    laptop.first_step().await;
    laptop.with_proof("code", &new.code()).login_mfa().await.expect_problem(400, "invalid-otp");
    laptop.with_proof("code", &old.code()).login_mfa().await.expect(200);

    person.mfa_confirm(&new.code()).await.expect(200);
    world.advance(30);
    laptop.first_step().await;
    laptop.with_proof("code", &old.code()).login_mfa().await.expect_problem(400, "invalid-otp");
    laptop.with_proof("recovery_code", &old_recovery_code).login_mfa().await.expect_problem(400, "invalid-otp");
    laptop.with_proof("code", &new.code()).login_mfa().await.expect(200);
}
