//! `POST /auth/mfa/recovery-codes`

use crate::harness::World;

#[tokio::test]
async fn new_codes_are_shown_once_and_the_old_ones_die() {
    let person = World::new().person_with_factor().await;
    let (laptop, old) = (person.on_another_device(), person.recovery_codes());
    let reply = person.with_code().mfa_recovery_codes().await.expect(200);
    let new = reply.body["recovery_codes"].as_array().unwrap();
    assert_eq!(new.len(), 10);
    assert!(new.iter().all(|code| !old.iter().any(|old| code == old)));
    person.me().await.expect(200);

    laptop.first_step().await;
    laptop.with_proof("recovery_code", &old[0]).login_mfa().await.expect_problem(400, "invalid-otp");
    laptop.with_recovery_code(0).login_mfa().await.expect(200);
}

#[tokio::test]
async fn there_are_none_without_a_second_factor() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.mfa_recovery_codes().await.expect_problem(409, "mfa-not-enabled");
    person.enroll().await;
    person.mfa_recovery_codes().await.expect_problem(409, "mfa-not-enabled");
    assert!(world.items("USER#").iter().all(|item| item["sk"]["S"] != "MFA"));
}

#[tokio::test]
async fn password_and_factor_are_asked_for() {
    let person = World::new().person_with_factor().await;
    person.mfa_recovery_codes().await.expect_problem(403, "mfa-required");
    person.with_code().mistyping().mfa_recovery_codes().await.expect_problem(403, "wrong-password");
    person.with_code().mfa_recovery_codes().await.expect(200);
}

#[tokio::test]
async fn every_other_session_ends_and_this_one_stays() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let laptop = person.on_another_device().signed_in().await;
    world.advance(30);
    person.with_code().mfa_recovery_codes().await.expect(200);
    person.me().await.expect(200);
    laptop.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn after_disabling_there_are_none_to_be_had_and_the_old_ones_stay_dead() {
    let person = World::new().person_with_factor().await;
    person.with_code().mfa_disable().await.expect(200);
    let old = person.with_recovery_code(0);
    old.mfa_recovery_codes().await.expect_problem(409, "mfa-not-enabled");
    person.sign_in().await;
    person.switch_factor_on().await;
    person.first_step().await;
    old.login_mfa().await.expect_problem(400, "invalid-otp");
}
