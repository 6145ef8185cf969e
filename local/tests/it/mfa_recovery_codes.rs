//! `POST /auth/mfa/recovery-codes`

use serde_json::json;

use crate::harness::{PASSWORD, Request, World};

const PATH: &str = "/auth/mfa/recovery-codes";

#[tokio::test]
async fn new_codes_are_shown_once_and_the_old_ones_die() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let reply = world.with_factor(PATH, &factor.token, PASSWORD, ("code", &factor.code(&world))).await.expect(200);
    let new = reply.body["recovery_codes"].as_array().unwrap();
    assert_eq!(new.len(), 10);
    assert!(new.iter().all(|code| !factor.recovery_codes.iter().any(|old| code == old)));
    world.me(&factor.token).await.expect(200);

    let mfa_token = world.mfa_token(PASSWORD).await;
    let old = ("recovery_code", factor.recovery_codes[0].as_str());
    world.login_mfa(&mfa_token, old).await.expect_problem(400, "invalid-otp");
    world.login_mfa(&mfa_token, ("recovery_code", new[0].as_str().unwrap())).await.expect(200);
}

#[tokio::test]
async fn there_are_none_without_a_second_factor() {
    // See docs/threats.md#a15.
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    let request = Request::post(PATH, json!({"password": PASSWORD})).bearer(&token);
    world.send(request.clone()).await.expect_problem(404, "not-found");
    world.enroll_verified(&token, PASSWORD).await.expect(200);
    world.send(request).await.expect_problem(404, "not-found");
    assert!(world.items("USER#").iter().all(|item| item["sk"]["S"] != "MFA"));
}

#[tokio::test]
async fn password_and_factor_are_asked_for() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let request = Request::post(PATH, json!({"password": PASSWORD})).bearer(&factor.token);
    world.send(request).await.expect_problem(403, "mfa-required");
    let code = factor.code(&world);
    world
        .with_factor(PATH, &factor.token, "wrong password", ("code", &code))
        .await
        .expect_problem(403, "wrong-password");
    world.with_factor(PATH, &factor.token, PASSWORD, ("code", &code)).await.expect(200);
}

#[tokio::test]
async fn every_other_session_ends_and_this_one_stays() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let mfa_token = world.mfa_token(PASSWORD).await;
    let other = world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect(200).tokens().0;
    world.advance(30);
    world.with_factor(PATH, &factor.token, PASSWORD, ("code", &factor.code(&world))).await.expect(200);
    world.me(&factor.token).await.expect(200);
    world.me(&other).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn after_disabling_there_are_none_to_be_had_and_the_old_ones_stay_dead() {
    // See docs/threats.md#a15.
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let disable = "/auth/mfa/disable";
    world.with_factor(disable, &factor.token, PASSWORD, ("code", &factor.code(&world))).await.expect(204);
    let old = ("recovery_code", factor.recovery_codes[0].as_str());
    world.with_factor(PATH, &factor.token, PASSWORD, old).await.expect_problem(404, "not-found");
    world.switch_factor_on(PASSWORD).await;
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, old).await.expect_problem(400, "invalid-otp");
}
