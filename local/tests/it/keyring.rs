//! Keys that are read at run time: how often, and what happens when they cannot be read.

use local::emulator::{Call, Fault};

use crate::{
    harness::{NEW_PASSWORD, World},
    jwt_attacks::Parts,
};

const SECRET: &str = "GetSecretValue";
const DOWN: Fault = Fault::Error("InternalServiceError");
const ALWAYS: usize = 1000;

fn count(calls: &[Call], action: &str) -> usize {
    calls.iter().filter(|call| call.permissions.iter().any(|permission| permission.action == action)).count()
}

fn secrets_read(world: &World) -> usize {
    count(&world.calls(), "secretsmanager:GetSecretValue")
}

fn key_sets_read(world: &World) -> usize {
    count(&world.calls(), "dynamodb:GetItem")
}

#[tokio::test]
async fn secrets_are_read_every_five_minutes() {
    let world = World::new();
    let person = world.person().await;
    world.calls();
    person.sign_in().await;
    assert_eq!(secrets_read(&world), 2, "both, the first time");
    world.advance(299);
    person.sign_in().await;
    assert_eq!(secrets_read(&world), 0);
    world.advance(1);
    person.sign_in().await;
    assert_eq!(secrets_read(&world), 2);
}

#[tokio::test]
async fn public_keys_are_read_every_two_minutes() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.calls();
    for (advance, reads) in [(0, 1), (119, 0), (1, 1), (60, 0)] {
        world.advance(advance);
        person.me().await.expect(200);
        assert_eq!(key_sets_read(&world), reads, "after {advance} s more");
    }
}

#[tokio::test]
async fn a_flood_of_made_up_key_ids_reads_the_keys_once_a_second_at_the_most() {
    let world = World::new();
    let mut parts = Parts::of(&world.signed_in_person().await.access_token());
    world.calls();
    let mut reads = 0;
    for second in 0..20 {
        for at in 0..5 {
            parts.header["kid"] = format!("made-up-{second}-{at}").into();
            world.bearer(&parts.token()).me().await.expect_problem(401, "invalid-token");
            reads += key_sets_read(&world);
        }
        world.advance(1);
    }
    assert_eq!(reads, 20);
}

/// Invented key ids just before a removal do not hide the key that it brings forward.
#[tokio::test]
async fn a_flood_of_made_up_key_ids_hides_no_key_for_longer_than_a_second() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.me().await.expect(200);
    let mut parts = Parts::of(&person.access_token());
    let kid = parts.header["kid"].clone();
    parts.header["kid"] = "made-up".into();
    world.bearer(&parts.token()).me().await.expect_problem(401, "invalid-token");
    world.invoke("rotate-keys", serde_json::json!({ "remove_key": kid })).await.unwrap();
    let device = person.on_another_device().signed_in().await;
    world.bearer(&parts.token()).me().await.expect_problem(401, "invalid-token");
    world.advance(1);
    device.me().await.expect(200);
}

#[tokio::test]
async fn a_key_that_was_published_since_is_found_at_once() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.me().await.expect(200);
    // Somebody removes the key in an emergency: the next one signs at once, and `me` has never heard of it.
    let kid = Parts::of(&person.access_token()).header["kid"].clone();
    world.invoke("rotate-keys", serde_json::json!({ "remove_key": kid })).await.unwrap();
    world.advance(300);
    person.on_another_device().signed_in().await.me().await.expect(200);
    person.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test(start_paused = true)]
async fn a_warm_function_goes_on_when_secrets_manager_is_down() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.emulator.faults().inject(SECRET, DOWN, ALWAYS);
    for _ in 0..20 {
        world.advance(301);
        person.sign_in().await;
    }
    // Two hours later it is better to stop than to sign with a key that may have retired.
    world.advance(7200);
    person.login().await.expect_problem(503, "temporarily-unavailable");
    world.emulator.faults().clear();
    person.sign_in().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_down_is_not_waited_for_by_every_request() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.advance(301);
    world.calls();
    world.emulator.faults().inject(SECRET, Fault::Hang, ALWAYS);
    let started = tokio::time::Instant::now();
    for _ in 0..10 {
        person.sign_in().await;
    }
    assert!(started.elapsed().as_secs() < 5, "one deadline, not ten");
}

#[tokio::test(start_paused = true)]
async fn a_cold_function_says_503_when_secrets_manager_is_down_and_judges_nothing() {
    for fault in [DOWN, Fault::Hang, Fault::LostRequest, Fault::Error("ThrottlingException")] {
        let world = World::new();
        let person = world.person().await;
        world.emulator.faults().inject(SECRET, fault, ALWAYS);
        world.calls();
        for reply in
            [person.login().await, person.request_reset().await, person.verify_reset("123456", NEW_PASSWORD).await]
        {
            reply.expect_problem(503, "temporarily-unavailable");
        }
        assert_eq!(count(&world.calls(), "dynamodb:UpdateItem"), 0, "no attempt was counted");
        world.emulator.faults().clear();
        person.sign_in().await;
    }
}

#[tokio::test]
async fn a_cold_function_that_may_not_read_its_secret_says_so_in_the_log_alone() {
    let world = World::new();
    let person = world.person().await;
    world.emulator.faults().inject(SECRET, Fault::Error("AccessDeniedException"), ALWAYS);
    let reply = person.login().await.expect_problem(500, "internal");
    assert!(!reply.body.to_string().to_lowercase().contains("secret"), "nothing of it is told");
}

#[tokio::test]
async fn before_the_first_rotation_nobody_signs_in_and_then_everybody_does() {
    let world = World::without_keys(&[]);
    let person = world.person().await;
    person.login().await.expect_problem(503, "temporarily-unavailable");
    world.rotate_keys().await.unwrap();
    person.sign_in().await;
    person.me().await.expect(200);
}
