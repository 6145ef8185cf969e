//! Whole ways through the system, as somebody goes them.

use serde_json::json;

use crate::harness::{E164, NEW_PASSWORD, PASSWORD, PHONE, RESET_PASSWORD, Request, World};

#[tokio::test]
async fn the_origins_documented_way_with_its_own_bodies() {
    let world = World::with(&[("OTP_EXPOSE", "true")]);
    let account = json!({"phone": "01012345678", "password": "mypassword"});
    let registered = world.post("/auth/register", account.clone()).await.expect(201);
    assert_eq!(registered.text("phone"), E164);

    let login = world.post("/auth/login", account).await.expect(200);
    assert_eq!(login.text("token_type"), "bearer");
    let token = login.text("access_token");
    assert_eq!(world.me(token).await.expect(200).text("id"), registered.text("id"));

    let change = json!({"old_password": "mypassword", "new_password": "newPass123"});
    world.send(Request::post("/auth/change-password", change).bearer(token)).await.expect(204);

    let requested = world.post("/auth/request-reset", json!({"phone": "01012345678"})).await.expect(202);
    let verify = json!({"phone": "01012345678", "otp": requested.text("otp"), "new_password": "newPass456"});
    world.post("/auth/verify-reset", verify).await.expect(204);
    world.login("01012345678", "newPass456").await.expect(200);
}

#[tokio::test]
async fn two_people_do_not_see_each_other() {
    let world = World::new().with_account().await;
    world.register("+998901234567", NEW_PASSWORD).await.expect(201);
    let first = world.token(PASSWORD).await;
    let second = world.login("+998901234567", NEW_PASSWORD).await.expect(200).text("access_token").to_owned();
    assert_eq!(world.me(&first).await.expect(200).text("phone"), E164);
    assert_eq!(world.me(&second).await.expect(200).text("phone"), "+998901234567");

    let code = world.code("+998901234567").await;
    world.verify_reset("+998901234567", &code, RESET_PASSWORD).await.expect(204);
    world.me(&second).await.expect_problem(401, "invalid-token");
    world.me(&first).await.expect(200);
    world.login(PHONE, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn collecting_garbage_changes_nothing_for_users() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.login("01112345678", "wrong password").await.expect_problem(401, "invalid-credentials");
    let collected = world.emulator.collect_garbage().unwrap();
    // The test's clock is ahead of the collector's, so nothing is due yet; accounts never are.
    assert_eq!(collected, 0);
    world.me(&token).await.expect(200);
    world.login(PHONE, PASSWORD).await.expect(200);
}
