//! `POST /auth/change-password`

use serde_json::json;

use crate::harness::{NEW_PASSWORD, PASSWORD, PHONE, RESET_PASSWORD, World};

#[tokio::test]
async fn the_new_password_counts_and_the_old_one_no_longer() {
    let person = World::new().signed_in_person().await;
    person.change_password(NEW_PASSWORD).await.expect(200);
    person.typing(PASSWORD).login().await.expect_problem(401, "invalid-credentials");
    person.typing(NEW_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn every_other_session_ends_and_the_caller_gets_another() {
    let person = World::new().signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    person.change_password(NEW_PASSWORD).await.expect(200);
    person.me().await.expect(200);
    laptop.me().await.expect_problem(401, "invalid-token");
    person.change_password(PASSWORD).await.expect(200);
    person.me().await.expect(200);
}

#[tokio::test]
async fn a_wrong_old_password_changes_nothing_and_counts_for_the_session() {
    let world = World::new();
    let person = world.signed_in_person().await;
    for _ in 0..6 {
        person.mistyping().change_password(NEW_PASSWORD).await.expect_problem(403, "wrong-password");
    }
    assert_eq!(person.change_password(NEW_PASSWORD).await.expect_limit("login-session"), 2);
    // A login does not wait for it, and has a count of its own.
    person.on_another_device().login().await.expect(200);
    for _ in 0..6 {
        person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    }
    assert_eq!(person.login().await.expect_limit("login-phone"), 2);
    world.advance(2);
    person.change_password(NEW_PASSWORD).await.expect(200);
    person.typing(NEW_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn an_open_reset_code_dies_with_the_old_password() {
    let person = World::new().signed_in_person().await;
    let code = person.reset_code().await;
    person.change_password(NEW_PASSWORD).await.expect(200);
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    person.typing(NEW_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let person = World::new().signed_in_person().await;
    person.post("/auth/change-password", json!({})).await.expect_fields(&["/old_password", "/new_password"]);
    for refused in ["short", "password", PHONE] {
        person.change_password(refused).await.expect_fields(&["/new_password"]);
    }
    person.login().await.expect(200);
}

#[tokio::test]
async fn who_asks_must_be_signed_in() {
    let person = World::new().person().await;
    person.change_password(NEW_PASSWORD).await.expect_problem(401, "invalid-token");
    person.bearing("no.such.token").change_password(NEW_PASSWORD).await.expect_problem(401, "invalid-token");
    person.login().await.expect(200);
}
