//! `POST /auth/mfa/confirm`

use std::collections::BTreeSet;

use crate::harness::{Authenticator, NEW_PASSWORD, Person, World, another_code};

/// Somebody who has asked for a second factor, and their authenticator's new entry.
async fn enrolled() -> (World, Person, Authenticator) {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.enroll().await;
    let authenticator = person.new_authenticator();
    (world, person, authenticator)
}

#[tokio::test]
async fn the_first_code_switches_it_on_and_shows_ten_recovery_codes() {
    let (world, person, authenticator) = enrolled().await;
    let reply = person.mfa_confirm(&authenticator.code()).await.expect(200);
    let codes: BTreeSet<_> = reply.body["recovery_codes"].as_array().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(codes.len(), 10, "each is another");
    assert!(codes.iter().all(|code| code.len() == 31), "24 characters, hyphens and quotes");
    assert_eq!(person.me().await.expect(200).body["mfa_enabled"], true);
    person.login().await.expect_problem(403, "mfa-required");

    let item = world.item("USER#", "MFA");
    assert_eq!(item["recovery_codes"]["SS"].as_array().unwrap().len(), 10);
    let all = serde_json::to_string(&world.items("")).unwrap();
    assert!(codes.iter().all(|code| !all.contains(&code.replace(['-', '"'], ""))), "hashes alone are kept");
    assert!(item["expires_at"].is_null(), "it is not collected");
}

#[tokio::test]
async fn every_other_session_ends_and_this_one_stays() {
    let (_, person, authenticator) = enrolled().await;
    let laptop = person.on_another_device().signed_in().await;
    person.mfa_confirm(&authenticator.code()).await.expect(200);
    person.me().await.expect(200);
    laptop.me().await.expect_problem(401, "invalid-token");
    laptop.refresh().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_wrong_code_switches_nothing_on() {
    let (_, person, authenticator) = enrolled().await;
    let code = authenticator.code();
    person.mfa_confirm(&another_code(&code)).await.expect_problem(400, "invalid-otp");
    person.on_another_device().login().await.expect(200);
    person.mfa_confirm(&code).await.expect(200);
}

#[tokio::test]
async fn an_enrollment_waits_for_ten_minutes() {
    let (world, person, authenticator) = enrolled().await;
    world.advance(600);
    person.mfa_confirm(&authenticator.code()).await.expect_problem(409, "enrollment-over");
    person.sign_in().await;
    person.mfa_confirm("123456").await.expect_problem(409, "enrollment-over");
}

/// A page that asked twice, or again because the response was lost, may show either QR code.
#[tokio::test]
async fn either_of_the_last_two_enrollments_counts_and_becomes_the_factor() {
    for chosen in 0..3 {
        let (world, person, first) = enrolled().await;
        person.enroll().await;
        let second = person.new_authenticator();
        person.enroll().await;
        let third = person.new_authenticator();
        let authenticators = [first, second, third];
        let reply = person.mfa_confirm(&authenticators[chosen].code()).await;
        if chosen == 0 {
            reply.expect_problem(400, "invalid-otp");
            person.mfa_confirm(&authenticators[2].code()).await.expect(200);
            continue;
        }
        reply.expect(200);
        world.advance(30);
        for (index, authenticator) in authenticators.iter().enumerate() {
            person.first_step().await;
            let step = person.with_proof("code", &authenticator.code()).login_mfa().await;
            assert_eq!(step.status, if index == chosen { 200 } else { 400 }, "{index} of {chosen}");
        }
    }
}

/// Each ends by itself, and with the account as it was when the password was asked for.
#[tokio::test]
async fn the_enrollment_before_has_an_end_of_its_own() {
    let (world, person, first) = enrolled().await;
    world.advance(300);
    person.enroll().await;
    let second = person.new_authenticator();
    world.advance(300);
    person.mfa_confirm(&first.code()).await.expect_problem(400, "invalid-otp");
    person.mfa_confirm(&second.code()).await.expect(200);

    let (_, person, first) = enrolled().await;
    person.change_password(NEW_PASSWORD).await.expect(200);
    person.enroll().await;
    person.mfa_confirm(&first.code()).await.expect_problem(400, "invalid-otp");
    person.mfa_confirm(&person.new_authenticator().code()).await.expect(200);
}

#[tokio::test]
async fn of_two_enrollments_at_once_either_counts() {
    for chosen in [0, 1] {
        let world = World::new();
        let person = world.signed_in_person().await;
        person.verify_own_phone().await;
        let (one, other) = tokio::join!(person.mfa_enroll(), person.mfa_enroll());
        let secrets = [one, other].map(|reply| reply.expect(200).body["secret"].as_str().unwrap().to_owned());
        person.mfa_confirm(&world.authenticator(&secrets[chosen]).code()).await.expect(200);
    }
}

#[tokio::test]
async fn sessions_that_were_ended_meanwhile_cannot_switch_it_on() {
    let (_, person, authenticator) = enrolled().await;
    let laptop = person.on_another_device().signed_in().await;
    laptop.change_password(NEW_PASSWORD).await.expect(200);
    person.mfa_confirm(&authenticator.code()).await.expect_problem(401, "invalid-token");
    person.login().await.expect(200);
}

/// Somebody with a token and no password must not guess for ten minutes.
#[tokio::test]
async fn five_codes_are_judged_and_the_next_enrollment_takes_the_password_again() {
    let (_, person, authenticator) = enrolled().await;
    let code = authenticator.code();
    for _ in 0..5 {
        person.mfa_confirm(&another_code(&code)).await.expect_problem(400, "invalid-otp");
    }
    person.mfa_confirm(&code).await.expect_problem(409, "enrollment-over");
    person.mistyping().mfa_enroll().await.expect_problem(403, "wrong-password");
    person.mfa_enroll().await.expect(200);
    person.mfa_confirm(&person.new_authenticator().code()).await.expect(200);
}

#[tokio::test]
async fn an_address_over_its_limit_does_not_use_up_the_tries() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "1")]);
    let person = world.signed_in_person().await;
    person.enroll().await;
    let wrong = another_code(&person.new_authenticator().code());
    person.mfa_confirm(&wrong).await.expect_problem(400, "invalid-otp");
    for _ in 0..10 {
        person.mfa_confirm(&wrong).await.expect_limit("login-address");
    }
    assert_eq!(world.item("USER#", "MFA#ENROLLMENT")["attempts"]["N"], "1");
    world.advance(300);
    person.mfa_confirm(&person.new_authenticator().code()).await.expect(200);
}

#[tokio::test]
async fn an_enrollment_is_of_the_account_as_it_was_when_the_password_was_asked_for() {
    let (_, person, authenticator) = enrolled().await;
    // The session that stays changes something meanwhile: what was asked for before is over.
    person.change_password(NEW_PASSWORD).await.expect(200);
    person.mfa_confirm(&authenticator.code()).await.expect_problem(409, "enrollment-over");
    person.login().await.expect(200);
}

/// Of two enrollments, the one from before the other was confirmed was not asked for the factor that is on now.
#[tokio::test]
async fn an_enrollment_cannot_replace_a_factor_that_it_was_not_asked_for() {
    let (world, person, authenticator) = enrolled().await;
    let mut item = world.item("USER#", "MFA#ENROLLMENT");
    person.mfa_confirm(&authenticator.code()).await.expect(200);
    world.advance(30);
    // As written by a request that was under way.
    item["attempts"]["N"] = "0".into();
    world.put_item(&item);
    person.mfa_confirm(&authenticator.code()).await.expect_problem(409, "mfa-already-enabled");
    person.first_step().await;
    person.login_mfa().await.expect(200);
}
