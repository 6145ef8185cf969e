//! `POST /auth/logout-all`

use crate::harness::{RESET_PASSWORD, World};

#[tokio::test]
async fn every_session_ends_at_once_and_a_new_login_works() {
    let person = World::new().signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    person.logout_all().await.expect(204);
    for device in [&person, &laptop] {
        device.me().await.expect_problem(401, "invalid-token");
        device.refresh().await.expect_problem(401, "invalid-token");
    }
    person.logout_all().await.expect_problem(401, "invalid-token");
    person.sign_in().await;
    person.me().await.expect(200);
}

#[tokio::test]
async fn an_open_code_dies_with_the_sessions() {
    let person = World::new().signed_in_person().await;
    let code = person.reset_code().await;
    person.logout_all().await.expect(204);
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn a_refresh_token_alone_is_enough_and_an_expired_access_token_is_not() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    let superseded = person.with_copied_tokens();
    person.refresh().await.expect(200);
    person.refresh().await.expect(200);
    world.advance(901);
    person.logout_all().await.expect_problem(401, "invalid-token");
    // It proves no more than an expired token does, but nobody is told that the session has ended, for it has not.
    let refused = superseded.logout_all_by_refresh_token().await.expect_problem(401, "invalid-token");
    assert!(refused.body["detail"].as_str().unwrap().contains("The session goes on"));
    laptop.refresh().await.expect(200);
    person.logout_all_by_refresh_token().await.expect(204);
    for device in [&person, &laptop] {
        device.me().await.expect_problem(401, "invalid-token");
        device.refresh().await.expect_problem(401, "invalid-token");
    }
    person.logout_all_by_refresh_token().await.expect_problem(401, "invalid-token");
}

/// The response of a refresh was lost, and then the user signs out everywhere.
#[tokio::test]
async fn the_refresh_token_before_the_newest_is_enough_as_well() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    let before = person.with_copied_tokens();
    person.refresh().await.expect(200);
    before.logout_all_by_refresh_token().await.expect(204);
    for device in [&person, &laptop] {
        device.me().await.expect_problem(401, "invalid-token");
    }
}
