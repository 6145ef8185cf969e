//! `POST /auth/resend-activation`

use crate::harness::{NEW_PASSWORD, PASSWORD, PHONE, World};

/// A world with a registration that waits: its `activation_id` and its code.
async fn registered() -> (World, String, String) {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    let id = world.register(PHONE, PASSWORD).await.expect(202).text("activation_id").to_owned();
    let code = world.last_code();
    world.advance(1);
    (world, id, code)
}

#[tokio::test]
async fn a_new_code_replaces_the_old_one() {
    let (world, id, old) = registered().await;
    let reply = world.resend_activation(&id).await.expect(202);
    assert_eq!(reply.body, serde_json::json!({}));
    let mut new = world.last_code();
    while new == old {
        world.advance(1);
        world.resend_activation(&id).await.expect(202);
        new = world.last_code();
    }
    world.activate(&id, &old).await.expect_problem(400, "invalid-otp");
    world.activate(&id, &new).await.expect(201);
    world.login(PHONE, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_registration_waits_for_an_hour() {
    let (world, id, _) = registered().await;
    world.advance(3598);
    world.resend_activation(&id).await.expect(202);
    let code = world.last_code();
    world.advance(2);
    world.resend_activation(&id).await.expect_fields(&["/activation_id"]);
    // The last code lives as long as any.
    world.collect_garbage();
    world.activate(&id, &code).await.expect(201);
}

#[tokio::test]
async fn a_registration_that_was_not_activated_is_collected() {
    let (world, id, _) = registered().await;
    world.advance(3600 + 300);
    world.collect_garbage();
    assert!(world.items("PHONE#").is_empty(), "the password's hash is gone");
    world.resend_activation(&id).await.expect_fields(&["/activation_id"]);
    world.register(PHONE, NEW_PASSWORD).await.expect(202);
}

#[tokio::test]
async fn a_registration_that_was_activated_is_over() {
    let (world, id, code) = registered().await;
    world.activate(&id, &code).await.expect(201);
    world.resend_activation(&id).await.expect_fields(&["/activation_id"]);
    assert_eq!(world.outbox.messages().len(), 1);
}

#[tokio::test]
async fn whether_the_phone_got_an_account_meanwhile_is_not_told() {
    let (world, id, _) = registered().await;
    let free = world.resend_activation(&id).await.expect(202);
    let calls_of_free: Vec<_> = world.calls().into_iter().map(|call| call.permissions).collect();
    world.advance(1);
    let other = world.register(PHONE, NEW_PASSWORD).await.expect(202).text("activation_id").to_owned();
    world.activate(&other, &world.last_code()).await.expect(201);
    world.advance(1);
    world.calls();
    let taken = world.resend_activation(&id).await.expect(202);
    let calls_of_taken: Vec<_> = world.calls().into_iter().map(|call| call.permissions).collect();
    assert!(free.fingerprint() == taken.fingerprint());
    assert_eq!(calls_of_free[calls_of_free.len() - calls_of_taken.len()..], calls_of_taken);
}
