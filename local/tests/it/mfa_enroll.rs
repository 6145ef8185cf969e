//! `POST /auth/mfa/enroll`

use serde_json::json;

use crate::harness::{Authenticator, PASSWORD, PHONE, RESET_PASSWORD, Request, World};

#[tokio::test]
async fn an_authenticator_is_told_the_secret_in_three_ways() {
    let world = World::with(&[("SERVICE_NAME", "My Shop")]).with_account().await;
    let token = world.token(PASSWORD).await;
    let reply = world.enroll_verified(&token, PASSWORD).await.expect(200);
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
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.enroll_verified(&token, PASSWORD).await.expect(200);
    assert_eq!(world.me(&token).await.expect(200).body["mfa_enabled"], false);
    world.login(PHONE, PASSWORD).await.expect(200);
}

/// Somebody who registered a number that is not theirs must not be able to keep its owner out: a reset by SMS would ask for a
/// factor that its owner never had (docs/threats.md#a25, docs/threats.md#a43).
#[tokio::test]
async fn a_phone_that_nobody_has_confirmed_gets_no_second_factor() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.mfa_enroll(&token, PASSWORD).await.expect_problem(403, "phone-not-verified");
    // Its owner takes it over, by the code that only they can read.
    let code = world.code(PHONE).await;
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
    world.me(&token).await.expect_problem(401, "invalid-token");
    let token = world.token(RESET_PASSWORD).await;
    world.mfa_enroll(&token, RESET_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn the_password_is_asked_for_and_a_token_alone_is_not_enough() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.verify_phone(&token).await.expect(202);
    world.confirm_phone(&token, &world.last_code()).await.expect(204);
    world.mfa_enroll(&token, "wrong password").await.expect_problem(403, "wrong-password");
    world.mfa_enroll("no token", PASSWORD).await.expect_problem(401, "invalid-token");
    world.send(Request::post("/auth/mfa/enroll", json!({})).bearer(&token)).await.expect_fields(&["/password"]);
    assert!(world.items("USER#").iter().all(|item| !item["sk"]["S"].as_str().unwrap().starts_with("MFA")));
}

#[tokio::test]
async fn the_table_holds_the_secret_encrypted() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    let secret = world.enroll_verified(&token, PASSWORD).await.expect(200).text("secret").to_owned();
    let all = serde_json::to_string(&world.items("")).unwrap();
    assert!(!all.contains(&secret));
    let item = world.item("USER#", "MFA#ENROLMENT");
    assert!(item["totp_secret"]["B"].is_string() && item["expires_at"]["N"].is_string());
}

#[tokio::test]
async fn whoever_has_a_second_factor_shows_it_before_it_is_replaced() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    world.mfa_enroll(&factor.token, PASSWORD).await.expect_problem(403, "mfa-required");
    let reply = world.with_factor("/auth/mfa/enroll", &factor.token, PASSWORD, ("code", &factor.code(&world))).await;
    let new = Authenticator::new(reply.expect(200).text("secret"));

    // Until the new one is confirmed the old one counts.
    world.advance(30);
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &new.code(&world))).await.expect_problem(400, "invalid-otp");
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect(200);

    world.mfa_confirm(&factor.token, &new.code(&world)).await.expect(200);
    world.advance(30);
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect_problem(400, "invalid-otp");
    world.login_mfa(&mfa_token, ("recovery_code", &factor.recovery_codes[0])).await.expect_problem(400, "invalid-otp");
    world.login_mfa(&mfa_token, ("code", &new.code(&world))).await.expect(200);
}
