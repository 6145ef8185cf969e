//! `POST /auth/mfa/disable`

use serde_json::json;

use crate::harness::{PASSWORD, PHONE, Request, World};

const PATH: &str = "/auth/mfa/disable";

#[tokio::test]
async fn password_and_code_switch_it_off_and_leave_nothing_of_it() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.with_factor(PATH, &factor.token, PASSWORD, ("code", &factor.code(&world))).await.expect(204);
    assert_eq!(world.me(&factor.token).await.expect(200).body["mfa_enabled"], false);
    world.login(PHONE, PASSWORD).await.expect(200);
    assert!(world.items("USER#").iter().all(|item| item["sk"]["S"] != "MFA"));
    // A login that waited is over, recovery codes are worth nothing (docs/threats.md#a15), and off is off.
    let recovery_code = ("recovery_code", factor.recovery_codes[0].as_str());
    world.login_mfa(&mfa_token, recovery_code).await.expect_problem(401, "invalid-token");
    world.with_factor(PATH, &factor.token, PASSWORD, recovery_code).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn a_recovery_code_does_it_too_and_other_sessions_end() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let mfa_token = world.mfa_token(PASSWORD).await;
    let other = world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect(200).tokens().0;
    let recovery_code = ("recovery_code", factor.recovery_codes[3].as_str());
    world.with_factor(PATH, &factor.token, PASSWORD, recovery_code).await.expect(204);
    world.me(&other).await.expect_problem(401, "invalid-token");
    world.me(&factor.token).await.expect(200);
}

#[tokio::test]
async fn neither_the_password_nor_the_code_alone_is_enough() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let code = factor.code(&world);
    world
        .with_factor(PATH, &factor.token, "wrong password", ("code", &code))
        .await
        .expect_problem(403, "wrong-password");
    let request = Request::post(PATH, json!({"password": PASSWORD})).bearer(&factor.token);
    world.send(request).await.expect_problem(403, "mfa-required");
    world.send(Request::post(PATH, json!({"code": code})).bearer(&factor.token)).await.expect_fields(&["/password"]);
    assert_eq!(world.me(&factor.token).await.expect(200).body["mfa_enabled"], true);
    world.with_factor(PATH, &factor.token, PASSWORD, ("code", &code)).await.expect(204);
}

#[tokio::test]
async fn it_can_be_switched_on_again_with_another_secret() {
    let world = World::new().with_account().await;
    let first = world.switch_factor_on(PASSWORD).await;
    world.with_factor(PATH, &first.token, PASSWORD, ("code", &first.code(&world))).await.expect(204);
    let second = world.switch_factor_on(PASSWORD).await;
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &first.code(&world))).await.expect_problem(400, "invalid-otp");
    world.login_mfa(&mfa_token, ("code", &second.code(&world))).await.expect(200);
}
