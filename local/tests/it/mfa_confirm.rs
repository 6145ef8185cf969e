//! `POST /auth/mfa/confirm`

use std::collections::BTreeSet;

use crate::harness::{Authenticator, NEW_PASSWORD, PASSWORD, PHONE, World, another_code};

/// A world whose account has asked for a second factor: it, a token and the authenticator.
async fn enrolled() -> (World, String, Authenticator) {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    let secret = world.enroll_verified(&token, PASSWORD).await.expect(200).text("secret").to_owned();
    (world, token, Authenticator::new(&secret))
}

#[tokio::test]
async fn the_first_code_switches_it_on_and_shows_ten_recovery_codes() {
    let (world, token, authenticator) = enrolled().await;
    let reply = world.mfa_confirm(&token, &authenticator.code(&world)).await.expect(200);
    let codes: BTreeSet<_> = reply.body["recovery_codes"].as_array().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(codes.len(), 10, "each is another");
    assert!(codes.iter().all(|code| code.len() == 31), "24 characters, hyphens and quotes");
    assert_eq!(world.me(&token).await.expect(200).body["mfa_enabled"], true);
    world.login(PHONE, PASSWORD).await.expect_problem(403, "mfa-required");

    let item = world.item("USER#", "MFA");
    assert_eq!(item["recovery_codes"]["SS"].as_array().unwrap().len(), 10);
    let all = serde_json::to_string(&world.items("")).unwrap();
    assert!(codes.iter().all(|code| !all.contains(&code.replace(['-', '"'], ""))), "hashes alone are kept");
    assert!(item["expires_at"].is_null(), "it is not collected");
}

#[tokio::test]
async fn every_other_session_ends_and_this_one_stays() {
    let (world, token, authenticator) = enrolled().await;
    let (other, refresh_token) = world.tokens(PASSWORD).await;
    world.mfa_confirm(&token, &authenticator.code(&world)).await.expect(200);
    world.me(&token).await.expect(200);
    world.me(&other).await.expect_problem(401, "invalid-token");
    world.refresh(&refresh_token).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_wrong_code_switches_nothing_on() {
    let (world, token, authenticator) = enrolled().await;
    let code = authenticator.code(&world);
    world.mfa_confirm(&token, &another_code(&code)).await.expect_problem(400, "invalid-otp");
    world.login(PHONE, PASSWORD).await.expect(200);
    world.mfa_confirm(&token, &code).await.expect(200);
    world.mfa_confirm(&token, &code).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn an_enrolment_waits_for_ten_minutes_and_the_last_one_counts() {
    let (world, token, first) = enrolled().await;
    let secret = world.enroll_verified(&token, PASSWORD).await.expect(200).text("secret").to_owned();
    let second = Authenticator::new(&secret);
    world.mfa_confirm(&token, &first.code(&world)).await.expect_problem(400, "invalid-otp");
    world.advance(600);
    world.mfa_confirm(&token, &second.code(&world)).await.expect_problem(400, "invalid-otp");
    world.mfa_confirm(&world.token(PASSWORD).await, "123456").await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn codes_in_other_spellings_are_refused_and_no_try() {
    // See docs/threats.md#a12.
    let (world, token, authenticator) = enrolled().await;
    let code = authenticator.code(&world);
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    let full_width: String = code.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect();
    for other in [spaced, format!(" {code}"), format!("{code} "), full_width, format!("+{code}"), code[1..].to_owned()]
    {
        world.mfa_confirm(&token, &other).await.expect_fields(&["/code"]);
    }
    world.mfa_confirm(&token, &code).await.expect(200);
}

#[tokio::test]
async fn sessions_that_were_ended_meanwhile_cannot_switch_it_on() {
    let (world, token, authenticator) = enrolled().await;
    let other = world.token(PASSWORD).await;
    world.change_password(&other, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.mfa_confirm(&token, &authenticator.code(&world)).await.expect_problem(401, "invalid-token");
    world.login(PHONE, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn five_codes_are_judged_and_the_next_enrolment_takes_the_password_again() {
    // Somebody with a token and no password must not guess for ten minutes (docs/threats.md#t5, docs/threats.md#a19).
    let (world, token, authenticator) = enrolled().await;
    let code = authenticator.code(&world);
    for _ in 0..5 {
        world.mfa_confirm(&token, &another_code(&code)).await.expect_problem(400, "invalid-otp");
    }
    world.mfa_confirm(&token, &code).await.expect_problem(400, "invalid-otp");
    world.mfa_enroll(&token, "wrong password").await.expect_problem(403, "wrong-password");
    let secret = world.mfa_enroll(&token, PASSWORD).await.expect(200).text("secret").to_owned();
    world.mfa_confirm(&token, &Authenticator::new(&secret).code(&world)).await.expect(200);
}

#[tokio::test]
async fn an_address_over_its_limit_does_not_use_up_the_tries() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "3")]).with_account().await;
    let token = world.token(PASSWORD).await;
    let secret = world.enroll_verified(&token, PASSWORD).await.expect(200).text("secret").to_owned();
    let wrong = another_code(&Authenticator::new(&secret).code(&world));
    world.mfa_confirm(&token, &wrong).await.expect_problem(400, "invalid-otp");
    for _ in 0..10 {
        world.mfa_confirm(&token, &wrong).await.expect_limit("login-address");
    }
    assert_eq!(world.item("USER#", "MFA#ENROLMENT")["attempts"]["N"], "1");
    world.advance(300);
    world.mfa_confirm(&token, &Authenticator::new(&secret).code(&world)).await.expect(200);
}

#[tokio::test]
async fn an_enrolment_is_of_the_account_as_it_was_when_the_password_was_asked_for() {
    let (world, token, authenticator) = enrolled().await;
    // The session that stays changes something meanwhile: what was asked for before is over.
    world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.mfa_confirm(&token, &authenticator.code(&world)).await.expect_problem(400, "invalid-otp");
    world.login(PHONE, NEW_PASSWORD).await.expect(200);
}

/// Two enrolments, one of before the other was confirmed: whoever made it was not asked for the factor that is on now.
#[tokio::test]
async fn an_enrolment_cannot_replace_a_factor_that_it_was_not_asked_for() {
    let (world, token, authenticator) = enrolled().await;
    let mut item = world.item("USER#", "MFA#ENROLMENT");
    world.mfa_confirm(&token, &authenticator.code(&world)).await.expect(200);
    world.advance(30);
    // As written by a request that was under way.
    item["attempts"]["N"] = "0".into();
    world.put_item(&item);
    world.mfa_confirm(&token, &authenticator.code(&world)).await.expect_problem(400, "invalid-otp");
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &authenticator.code(&world))).await.expect(200);
}
