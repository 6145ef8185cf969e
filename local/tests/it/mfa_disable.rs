//! `POST /auth/mfa/disable`

use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn password_and_code_switch_it_off_and_leave_nothing_of_it() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let laptop = person.on_another_device();
    laptop.first_step().await;
    person.with_code().mfa_disable().await.expect(200);
    assert_eq!(person.me().await.expect(200).body["mfa_enabled"], false);
    person.on_another_device().login().await.expect(200);
    assert!(world.items("USER#").iter().all(|item| item["sk"]["S"] != "MFA"));
    // A login that waited is over, recovery codes are worth nothing, and off is off.
    laptop.with_recovery_code(0).login_mfa().await.expect_problem(401, "invalid-token");
    person.with_recovery_code(0).mfa_disable().await.expect_problem(409, "mfa-not-enabled");
}

#[tokio::test]
async fn a_recovery_code_does_it_too_and_other_sessions_end() {
    let person = World::new().person_with_factor().await;
    let laptop = person.on_another_device().signed_in().await;
    person.with_recovery_code(3).mfa_disable().await.expect(200);
    laptop.me().await.expect_problem(401, "invalid-token");
    person.me().await.expect(200);
}

#[tokio::test]
async fn neither_the_password_nor_the_code_alone_is_enough() {
    let person = World::new().person_with_factor().await;
    person.with_code().mistyping().mfa_disable().await.expect_problem(403, "wrong-password");
    person.mfa_disable().await.expect_problem(403, "mfa-required");
    let code_alone = json!({"code": person.authenticator().code()});
    person.post("/auth/mfa/disable", code_alone).await.expect_fields(&["/password"]);
    assert_eq!(person.me().await.expect(200).body["mfa_enabled"], true);
    person.with_code().mfa_disable().await.expect(200);
}

#[tokio::test]
async fn it_can_be_switched_on_again_with_another_secret() {
    let person = World::new().person_with_factor().await;
    let first = person.authenticator();
    person.with_code().mfa_disable().await.expect(200);
    person.sign_in().await;
    person.switch_factor_on().await;
    person.first_step().await;
    person.with_proof("code", &first.code()).login_mfa().await.expect_problem(400, "invalid-otp");
    person.login_mfa().await.expect(200);
}
