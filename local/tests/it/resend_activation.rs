//! `POST /auth/resend-activation`

use serde_json::json;

use crate::harness::{NEW_PASSWORD, PHONE, Person, World};

/// Somebody whose registration waits, and the code that it waits for.
async fn registering() -> (World, Person, String) {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    let person = world.visitor(PHONE);
    person.register().await.expect(202);
    let code = person.code();
    world.advance(1);
    (world, person, code)
}

#[tokio::test]
async fn another_code_replaces_the_last_but_one() {
    let (world, person, old) = registering().await;
    let reply = person.resend_activation().await.expect(202);
    assert_eq!(reply.body, json!({}));
    let mut newer = vec![person.code()];
    while newer.len() < 2 || newer.contains(&old) {
        world.advance(1);
        person.resend_activation().await.expect(202);
        newer = vec![newer.pop().unwrap(), person.code()];
    }
    person.activate(&old).await.expect_problem(400, "invalid-otp");
    person.activate(&person.code()).await.expect(201);
    person.login().await.expect(200);
}

#[tokio::test]
async fn a_registration_waits_for_an_hour() {
    let (world, person, _) = registering().await;
    world.advance(3598);
    person.resend_activation().await.expect(202);
    let code = person.code();
    world.advance(2);
    person.resend_activation().await.expect_fields(&["/activation_id"]);
    // The last code lives as long as any.
    world.collect_garbage();
    person.activate(&code).await.expect(201);
}

#[tokio::test]
async fn a_registration_that_was_not_activated_is_collected() {
    let (world, person, _) = registering().await;
    world.advance(3600 + 300);
    world.collect_garbage();
    assert!(world.items("PHONE#").is_empty(), "the password's hash is gone");
    person.resend_activation().await.expect_fields(&["/activation_id"]);
    person.typing(NEW_PASSWORD).register().await.expect(202);
}

#[tokio::test]
async fn a_registration_that_was_activated_is_over() {
    let (world, person, code) = registering().await;
    person.activate(&code).await.expect(201);
    let reply = person.resend_activation().await.expect_fields(&["/activation_id"]);
    let detail = "belongs to no registration that waits; if it was activated, sign in, or else register again";
    assert_eq!(reply.body["errors"][0]["detail"], detail);
    assert_eq!(world.outbox.messages().len(), 1);
}

#[tokio::test]
async fn whether_the_phone_got_an_account_meanwhile_is_not_told() {
    let (world, person, _) = registering().await;
    let free = person.resend_activation().await.expect(202);
    let work_for_free = world.permissions_used();
    world.advance(1);
    world.visitor(PHONE).typing(NEW_PASSWORD).registered().await;
    world.calls();
    let taken = person.resend_activation().await.expect(202);
    let work_for_taken = world.permissions_used();
    assert!(free.fingerprint() == taken.fingerprint());
    assert_eq!(work_for_free[work_for_free.len() - work_for_taken.len()..], work_for_taken);
}
