//! Authenticators and recovery codes over all endpoints that ask for them: what a wrong one delays, and what it does
//! not, and phones whose clock is not ours.

use serde_json::{Value, json};

use crate::harness::{OTHER_PHONE, Person, RESET_PASSWORD, Reply, World, another_code};

/// Codes that are tried at once before each further one costs a wait.
const AT_ONCE: usize = 6;

async fn with_factor() -> (World, Person) {
    let world = World::new();
    let person = world.person_with_factor().await;
    (world, person)
}

/// Enters wrong TOTP codes in the second step of a login until they have to wait.
async fn exhaust_login(person: &Person) -> Reply {
    person.first_step().await;
    for _ in 0..AT_ONCE {
        person.with_wrong_code().login_mfa().await.expect_problem(400, "invalid-otp");
    }
    person.with_wrong_code().login_mfa().await
}

/// Enters wrong TOTP codes with a right reset code until they have to wait. One reset code is enough for all of them.
async fn exhaust_reset(person: &Person, otp: &str) -> Reply {
    for _ in 0..AT_ONCE {
        person.with_wrong_code().verify_reset(otp, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.with_wrong_code().verify_reset(otp, RESET_PASSWORD).await
}

/// Enters wrong TOTP codes in a session until they have to wait.
async fn exhaust_session(person: &Person) -> Reply {
    for _ in 0..AT_ONCE {
        person.with_wrong_code().mfa_disable().await.expect_problem(400, "invalid-otp");
    }
    person.with_wrong_code().mfa_disable().await
}

/// The guesses that are counted for one door.
fn guesses(world: &World, door: &str) -> Value {
    world.item("USER#", "MFA")[format!("totp_{door}_failures")]["N"].clone()
}

#[tokio::test]
async fn a_right_recovery_code_waits_for_no_wrong_totp_code() {
    let (world, person) = with_factor().await;
    let otp = person.reset_code().await;
    exhaust_session(&person).await.expect_limit("mfa");
    exhaust_reset(&person, &otp).await.expect_limit("mfa");
    let reply = exhaust_login(&person).await;
    let detail = reply.body["detail"].as_str().unwrap().to_owned();
    reply.expect_limit("mfa");
    assert!(detail.contains("recovery code works at once"), "{detail}");

    person.with_recovery_code(0).login_mfa().await.expect(200);
    for _ in 0..2 * AT_ONCE {
        person.with_wrong_code().mfa_disable().await;
    }
    person.with_recovery_code(1).change_phone(OTHER_PHONE).await.expect(202);
    for _ in 0..2 * AT_ONCE {
        person.with_wrong_code().mfa_disable().await;
    }
    person.with_recovery_code(2).mfa_enroll().await.expect(200);
    exhaust_reset(&person, &otp).await.expect_limit("mfa");
    person.with_recovery_code(3).verify_reset(&otp, RESET_PASSWORD).await.expect(204);
    world.advance(1);

    let person = person.typing(RESET_PASSWORD);
    exhaust_login(&person).await.expect_limit("mfa");
    person.with_recovery_code(4).login_mfa().await.expect(200);
    exhaust_session(&person).await.expect_limit("mfa");
    person.with_recovery_code(5).mfa_recovery_codes().await.expect(200);
    exhaust_session(&person).await.expect_limit("mfa");
    person.with_recovery_code(0).mfa_disable().await.expect(200);
}

#[tokio::test]
async fn an_account_is_deleted_with_a_recovery_code_whatever_was_guessed() {
    let (_, person) = with_factor().await;
    exhaust_session(&person).await.expect_limit("mfa");
    person.with_recovery_code(0).delete_account().await.expect(204);
}

#[tokio::test]
async fn wrong_recovery_codes_delay_neither_totp_nor_recovery_codes() {
    let (world, person) = with_factor().await;
    let wrong = person.with_proof("recovery_code", &"0".repeat(24));
    let otp = person.reset_code().await;
    for _ in 0..8 {
        person.first_step().await;
        wrong.login_mfa().await.expect_problem(400, "invalid-otp");
        wrong.mfa_disable().await.expect_problem(400, "invalid-otp");
        wrong.verify_reset(&otp, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
        forgive_the_password(&world);
    }
    person.login_mfa().await.expect(200);
    person.first_step().await;
    person.with_recovery_code(0).login_mfa().await.expect(200);
    person.with_recovery_code(1).verify_reset(&otp, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn guesses_at_one_door_close_no_other() {
    let (world, person) = with_factor().await;
    let otp = person.reset_code().await;
    exhaust_reset(&person, &otp).await.expect_limit("mfa");
    exhaust_session(&person).await.expect_limit("mfa");
    person.first_step().await;
    person.login_mfa().await.expect(200);
    assert_eq!((guesses(&world, "reset"), guesses(&world, "session")), (json!("6"), json!("6")));
    world.advance(30);

    exhaust_login(&person).await.expect_limit("mfa");
    world.advance(30);
    person.with_code().mfa_recovery_codes().await.expect(200);
    person.request_reset().await.expect(202);
    world.advance(30);
    person.with_code().verify_reset(&person.code(), RESET_PASSWORD).await.expect(204);
    assert_eq!(guesses(&world, "login"), json!("6"), "the other doors' successes forgive none");
}

/// NIST SP 800-63B section 3.2.2: at most a hundred wrong codes of one authenticator in a row.
#[tokio::test]
async fn a_hundred_wrong_totp_codes_are_compared_in_all_however_long_it_takes() {
    let (world, person) = with_factor().await;
    let mut compared = 0;
    for door in ["login", "session", "reset"] {
        loop {
            let reply = match door {
                "login" => {
                    forgive_the_password(&world);
                    person.first_step().await;
                    person.with_wrong_code().login_mfa().await
                }
                "session" => {
                    forgive_the_password(&world);
                    person.with_wrong_code().mfa_disable().await
                }
                _ => {
                    let otp = person.reset_code().await;
                    person.with_wrong_code().verify_reset(&otp, RESET_PASSWORD).await
                }
            };
            if reply.status == 429 {
                break;
            }
            reply.expect_problem(400, "invalid-otp");
            compared += 1;
            // Longer than the longest wait, and than ten reset codes a day allow.
            world.advance(if door == "reset" { 8640 } else { 901 });
            refresh(&world, &person).await;
        }
    }
    assert_eq!(compared, 100);
    person.first_step().await;
    person.login_mfa().await.expect_limit("mfa");
    person.with_recovery_code(0).login_mfa().await.expect(200);
    world.advance(30);
    person.first_step().await;
    person.login_mfa().await.expect(200);
}

/// Keeps the access token fresh.
async fn refresh(world: &World, person: &Person) {
    forgive_the_password(world);
    person.refresh().await.expect(200);
}

/// Takes the password's own throttle away, which would get in the way: the owner's password is right.
fn forgive_the_password(world: &World) {
    let mut credential = world.item("PHONE#", "CREDENTIAL");
    credential.as_object_mut().unwrap().remove("login_failures");
    world.put_item(&credential);
}

#[tokio::test]
async fn wrong_recovery_codes_are_limited_per_login_and_per_address() {
    let (world, person) = with_factor().await;
    let wrong = person.with_proof("recovery_code", &"0".repeat(24));
    person.first_step().await;
    for _ in 0..10 {
        wrong.login_mfa().await.expect_problem(400, "invalid-otp");
    }
    person.with_recovery_code(0).login_mfa().await.expect_problem(401, "invalid-token");
    // Only the recovery codes of this login are used up, and the next login has its own.
    person.login_mfa().await.expect(200);
    person.first_step().await;
    person.with_recovery_code(0).login_mfa().await.expect(200);

    let world_with_limit = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "20")]);
    let person = world_with_limit.person_with_factor().await;
    let wrong = person.with_proof("recovery_code", &"0".repeat(24));
    let mut refused = 0;
    for _ in 0..25 {
        refused += usize::from(wrong.mfa_disable().await.status == 429);
        forgive_the_password(&world_with_limit);
    }
    assert_eq!(refused, 5, "the password is right, and counts for no address");
    person.at("198.51.100.4").with_recovery_code(0).mfa_disable().await.expect(200);
    drop(world);
}

#[tokio::test]
async fn a_phone_half_a_minute_ahead_or_behind_enrolls_and_signs_in() {
    for offset in [-30, -20, -1, 1, 20, 30] {
        let world = World::new();
        let person = world.signed_in_person().await;
        person.enroll().await;
        let code = person.new_authenticator().code_when_off_by(offset);
        person.mfa_confirm(&code).await.expect(200);
        world.advance(60);
        for _ in 0..3 {
            person.first_step().await;
            let shown = person.with_proof("code", &person.authenticator().code_when_off_by(offset));
            shown.login_mfa().await.expect(200);
            world.advance(30);
        }
        let otp = person.reset_code().await;
        let shown = || person.with_proof("code", &person.authenticator().code_when_off_by(offset));
        shown().verify_reset(&otp, RESET_PASSWORD).await.expect(204);
        world.advance(30);
        person.typing(RESET_PASSWORD).first_step().await;
        shown().login_mfa().await.expect(200);
        world.advance(30);
        shown().typing(RESET_PASSWORD).mfa_disable().await.expect(200);
    }
}

#[tokio::test]
async fn a_phone_a_minute_ahead_or_behind_is_told_of_its_clock() {
    for offset in [-60, 60] {
        let world = World::new();
        let person = world.signed_in_person().await;
        person.enroll().await;
        let shown = |authenticator: crate::harness::Authenticator| authenticator.code_when_off_by(offset);
        let told = |reply: Reply| {
            let reply = reply.expect_problem(400, "invalid-otp");
            let detail = reply.body["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains("clock"), "{detail}");
            assert!(!detail.contains("request a new one"), "{detail}");
        };
        told(person.mfa_confirm(&shown(person.new_authenticator())).await);
        person.mfa_confirm(&person.new_authenticator().code()).await.expect(200);
        world.advance(30);
        let code = shown(person.authenticator());
        let person = person.with_proof("code", &code);
        person.first_step().await;
        told(person.login_mfa().await);
        told(person.mfa_disable().await);
        told(person.mfa_recovery_codes().await);
        told(person.mfa_enroll().await);
        told(person.change_phone(OTHER_PHONE).await);
        told(person.delete_account().await);
        let otp = person.reset_code().await;
        told(person.verify_reset(&otp, RESET_PASSWORD).await);
    }
}

#[tokio::test]
async fn wrong_codes_of_messages_and_recovery_codes_have_texts_of_their_own() {
    let (_, person) = with_factor().await;
    let otp = person.reset_code().await;
    let sms = person.with_code().verify_reset(&another_code(&otp), RESET_PASSWORD).await;
    let sms = sms.expect_problem(400, "invalid-otp").body["detail"].as_str().unwrap().to_owned();
    assert!(!sms.contains("clock"), "{sms}");
    let wrong = person.with_proof("recovery_code", &"0".repeat(24));
    let recovery = wrong.mfa_disable().await.expect_problem(400, "invalid-otp");
    let recovery = recovery.body["detail"].as_str().unwrap().to_owned();
    assert!(recovery.contains("recovery code") && !recovery.contains("clock"), "{recovery}");
}

#[tokio::test]
async fn a_code_that_was_used_early_is_used_up_and_so_are_those_before_it() {
    let (world, person) = with_factor().await;
    world.advance(30);
    let shown = |offset| person.with_proof("code", &person.authenticator().code_when_off_by(offset));
    let (before, now, next) = (shown(-30), shown(0), shown(30));
    person.first_step().await;
    next.login_mfa().await.expect(200);
    person.first_step().await;
    for used in [&next, &now, &before] {
        used.login_mfa().await.expect_problem(400, "invalid-otp");
    }
    // In its own step and in the one after, it is used up as well.
    for _ in 0..2 {
        world.advance(30);
        person.first_step().await;
        next.login_mfa().await.expect_problem(400, "invalid-otp");
        world.advance(2);
    }
    person.first_step().await;
    person.login_mfa().await.expect(200);
}

#[tokio::test]
async fn a_code_that_confirmed_an_enrollment_early_signs_nobody_in() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.enroll().await;
    let early = person.new_authenticator().code_when_off_by(30);
    let now = person.new_authenticator().code();
    person.mfa_confirm(&early).await.expect(200);
    person.first_step().await;
    for used in [&now, &early] {
        person.with_proof("code", used).login_mfa().await.expect_problem(400, "invalid-otp");
    }
    world.advance(30);
    person.with_proof("code", &early).login_mfa().await.expect_problem(400, "invalid-otp");
    person.with_proof("code", &person.authenticator().code_when_off_by(30)).login_mfa().await.expect(200);
}

#[tokio::test]
async fn an_enrollment_that_is_over_says_so() {
    let over = |reply: Reply| {
        let reply = reply.expect_problem(409, "enrollment-over");
        assert!(reply.body["detail"].as_str().unwrap().contains("POST /auth/mfa/enroll"));
    };
    // None was begun.
    let world = World::new();
    let person = world.signed_in_person().await;
    over(person.mfa_confirm("123456").await);
    // Five wrong codes.
    person.enroll().await;
    let code = person.new_authenticator().code();
    for _ in 0..5 {
        person.mfa_confirm(&another_code(&code)).await.expect_problem(400, "invalid-otp");
    }
    over(person.mfa_confirm(&code).await);
    // Ten minutes.
    person.enroll().await;
    world.advance(600);
    over(person.mfa_confirm(&person.new_authenticator().code()).await);
    // The account changed.
    person.enroll().await;
    person.change_password(crate::harness::NEW_PASSWORD).await.expect(200);
    over(person.mfa_confirm(&person.new_authenticator().code()).await);
    // And a new one works.
    person.enroll().await;
    person.mfa_confirm(&person.new_authenticator().code()).await.expect(200);
}
