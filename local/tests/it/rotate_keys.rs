//! `rotate-keys`: rotation and removal of signing keys, on a clock that the test moves.

use latchkey::tokens::key_schedule::{JWKS_MAX_AGE, PUBLISHED_AFTER, PUBLISHED_BEFORE};
use local::emulator::Fault;
use serde_json::{Value, json};

use crate::{
    harness::{Person, World},
    jwt_attacks::Parts,
};

/// Ninety days, as the template rotates.
pub(crate) const PERIOD: u64 = 90 * 24 * 3600;
const BEFORE: u64 = PUBLISHED_BEFORE.as_secs();
const AFTER: u64 = PUBLISHED_AFTER.as_secs();
pub(crate) const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// The keys that are published.
pub(crate) async fn kids(world: &World) -> Vec<String> {
    world.jwks().await.into_iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

impl Person {
    /// The key that signed the access token.
    pub(crate) fn kid(&self) -> String {
        Parts::of(&self.access_token()).header["kid"].as_str().unwrap().to_owned()
    }
}

/// Signs in and uses the session; returns the key that signed.
pub(crate) async fn signed_with(person: &Person) -> String {
    person.sign_in().await;
    person.me().await.expect(200);
    person.kid()
}

pub(crate) async fn step(world: &World, token: &str, step: &str) -> Result<Value, String> {
    let event = json!({"Step": step, "SecretId": "SigningKeys", "ClientRequestToken": token});
    world.invoke("rotate-keys", event).await
}

pub(crate) fn begin(world: &World) -> String {
    world.emulator.secrets().begin_rotation("SigningKeys").unwrap()
}

/// Somebody with an account, where keys have been rotated for the first time.
pub(crate) async fn new_world() -> (World, Person) {
    let world = World::without_keys(&[]);
    world.rotate_keys().await.unwrap();
    let person = world.person().await;
    (world, person)
}

#[tokio::test]
async fn tokens_from_before_during_and_after_a_rotation_all_verify() {
    let (world, person) = new_world().await;
    let [first] = &kids(&world).await[..] else { panic!() };
    world.advance(PERIOD);
    let early = person.on_another_device().signed_in().await;
    world.rotate_keys().await.unwrap();

    // Published at once (to copies that are two minutes old), and signing not before everybody has seen it.
    world.advance(120);
    let [_, second] = &kids(&world).await[..] else { panic!("both are published") };
    assert_eq!(signed_with(&person).await, *first);
    world.advance(BEFORE - 120 - 60);
    let during = person.on_another_device().signed_in().await;
    assert_eq!(during.kid(), *first, "a minute before its time");
    world.advance(60);
    let after = person.on_another_device().signed_in().await;
    assert_eq!(after.kid(), *second, "to the second, though nobody did anything");
    for device in [&during, &after] {
        device.me().await.expect(200);
    }
    assert!(BEFORE >= 2 * 3600 + JWKS_MAX_AGE.as_secs());

    // The old one's last token dies of age, never of its key.
    world.advance(839);
    during.me().await.expect(200);
    world.advance(AFTER - 839 - 1);
    assert_eq!(kids(&world).await.len(), 2);
    world.advance(1);
    assert_eq!(kids(&world).await, [second.as_str()], "gone by the clock, though nobody did anything");
    // Refresh tokens have nothing to do with it.
    early.refresh().await.expect(200);
}

#[tokio::test]
async fn a_year_of_rotations_never_refuses_a_good_token() {
    let (world, person) = new_world().await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        world.rotate_keys().await.unwrap();
        // A token every twenty minutes or so while the keys change, each used until the end of its life.
        for _ in 0..20 {
            person.sign_in().await;
            seen.insert(person.kid());
            for advance in [0, 449, 450] {
                world.advance(advance);
                person.me().await.expect(200);
            }
            world.advance(400);
        }
        world.advance(PERIOD);
        assert!(kids(&world).await.len() == 1, "one key once the rotation is over");
    }
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn each_step_may_be_repeated() {
    let (world, _) = new_world().await;
    world.advance(PERIOD);
    let token = begin(&world);
    for name in STEPS {
        for _ in 0..3 {
            step(&world, &token, name).await.unwrap();
        }
    }
    world.advance(120);
    let after = kids(&world).await;
    assert_eq!(after.len(), 2);
    // Late repetitions of a rotation that is over change nothing.
    for name in STEPS {
        step(&world, &token, name).await.unwrap();
    }
    world.advance(120);
    assert_eq!(kids(&world).await, after);
}

#[tokio::test]
pub(crate) async fn steps_at_once_make_one_key() {
    let (world, person) = new_world().await;
    world.advance(PERIOD);
    let token = begin(&world);
    for name in STEPS {
        let (a, b, c, d) = tokio::join!(
            step(&world, &token, name),
            step(&world, &token, name),
            step(&world, &token, name),
            step(&world, &token, name)
        );
        assert!(a.is_ok() || b.is_ok() || c.is_ok() || d.is_ok(), "{name}");
        step(&world, &token, name).await.unwrap();
    }
    world.advance(BEFORE);
    assert_eq!(kids(&world).await.len(), 2);
    signed_with(&person).await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_succeeds_when_it_is_repeated() {
    let (world, person) = new_world().await;
    for operation in
        ["GetSecretValue", "PutSecretValue", "DescribeSecret", "UpdateSecretVersionStage", "GetItem", "UpdateItem"]
    {
        for fault in [Fault::LostReply, Fault::LostRequest, Fault::Error("InternalServerError")] {
            world.advance(PERIOD);
            world.emulator.faults().inject(operation, fault, 3);
            let token = begin(&world);
            for name in STEPS {
                if step(&world, &token, name).await.is_err() {
                    world.emulator.faults().clear();
                    step(&world, &token, name).await.unwrap();
                }
            }
            world.emulator.faults().clear();
            world.advance(BEFORE);
            assert_eq!(kids(&world).await.len(), 2, "{operation} with {fault:?}");
            signed_with(&person).await;
        }
    }
}

#[tokio::test]
async fn a_rotation_that_stops_half_way_leaves_everybody_signed_in_for_good() {
    for done in 1..STEPS.len() {
        let (world, person) = new_world().await;
        world.advance(PERIOD);
        let token = begin(&world);
        for name in &STEPS[..done] {
            step(&world, &token, name).await.unwrap();
        }
        // Days later the old key still signs, and is still known.
        for _ in 0..10 {
            world.advance(12 * 3600);
            signed_with(&person).await;
        }
        // The rotation is too old to be finished: its key was never announced, or would be overdue. It is given up, and
        // the next one works.
        let late = step(&world, &token, STEPS[done]).await;
        let is_test = STEPS[done] == "testSecret";
        assert_eq!(late.is_err(), !is_test, "after {done} steps");
        if is_test {
            step(&world, &token, "finishSecret").await.unwrap_err();
        }
        assert!(begin(&world) != token, "the next rotation is another one");
        world.rotate_keys().await.unwrap();
        world.advance(BEFORE);
        signed_with(&person).await;
    }
}

#[tokio::test]
async fn a_key_that_leaked_is_refused_within_two_minutes_and_another_signs_at_once() {
    let (world, person) = new_world().await;
    person.sign_in().await;
    let leaked = person.kid();
    let answer = world.invoke("rotate-keys", json!({ "remove_key": leaked })).await.unwrap();
    assert_eq!(answer["removed"], leaked);
    assert!(answer["signs"] != leaked && answer["signs"].is_string());

    // Those that hold copies go on until they look again.
    world.advance(120);
    person.me().await.expect_problem(401, "invalid-token");
    assert_eq!(kids(&world).await, [answer["signs"].as_str().unwrap()]);
    world.advance(180);
    assert_eq!(signed_with(&person).await, answer["signs"].as_str().unwrap());
    world.invoke("rotate-keys", json!({ "remove_key": leaked })).await.expect_err("it is gone");
}

#[tokio::test]
async fn a_key_that_leaks_while_the_next_one_waits_is_succeeded_by_that() {
    let (world, person) = new_world().await;
    let leaked = kids(&world).await.remove(0);
    world.advance(PERIOD);
    world.rotate_keys().await.unwrap();
    world.advance(120);
    let next = kids(&world).await.remove(1);
    let answer = world.invoke("rotate-keys", json!({ "remove_key": leaked })).await.unwrap();
    assert_eq!(answer["signs"], next);
    world.advance(300);
    person.sign_in().await;
    assert_eq!(person.kid(), next);
    assert_eq!(kids(&world).await, [next]);
}

#[tokio::test]
async fn a_removal_that_runs_beside_the_end_of_a_rotation_is_never_undone() {
    for head_start in 0..24 {
        let (world, person) = new_world().await;
        let leaked = kids(&world).await.remove(0);
        world.advance(PERIOD);
        let token = begin(&world);
        for name in &STEPS[..3] {
            step(&world, &token, name).await.unwrap();
        }
        let removal = async {
            // Each call of the other one takes a turn or two.
            for _ in 0..head_start {
                tokio::task::yield_now().await;
            }
            world.invoke("rotate-keys", json!({ "remove_key": leaked })).await
        };
        let (_, removed) = tokio::join!(step(&world, &token, "finishSecret"), removal);
        if removed.is_err() {
            // Outrun, and said so: the operator repeats it.
            world.invoke("rotate-keys", json!({ "remove_key": leaked })).await.unwrap();
        }
        let _ = step(&world, &token, "finishSecret").await;
        world.advance(300);
        assert!(!kids(&world).await.contains(&leaked), "after {head_start} turns");
        assert!(signed_with(&person).await != leaked, "after {head_start} turns");
    }
}

#[tokio::test]
async fn a_removal_overtakes_a_rotation_and_is_never_undone_by_it() {
    for done in 0..STEPS.len() {
        let (world, person) = new_world().await;
        let leaked = kids(&world).await.remove(0);
        world.advance(PERIOD);
        let token = begin(&world);
        for name in &STEPS[..done] {
            step(&world, &token, name).await.unwrap();
        }
        world.invoke("rotate-keys", json!({ "remove_key": leaked })).await.unwrap();
        for name in &STEPS[done..] {
            let _ = step(&world, &token, name).await;
        }
        world.advance(300);
        assert!(!kids(&world).await.contains(&leaked), "after {done} steps");
        assert!(signed_with(&person).await != leaked, "after {done} steps");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_stops_half_way_refuses_the_key_already_and_can_be_repeated() {
    let (world, person) = new_world().await;
    person.sign_in().await;
    let leaked = person.kid();
    world.emulator.faults().inject("PutSecretValue", Fault::LostRequest, 3);
    world.invoke("rotate-keys", json!({ "remove_key": leaked })).await.unwrap_err();
    world.advance(120);
    person.me().await.expect_problem(401, "invalid-token");
    world.invoke("rotate-keys", json!({ "remove_key": leaked })).await.unwrap();
    world.advance(300);
    signed_with(&person).await;
}

#[tokio::test]
async fn another_algorithm_takes_over_as_another_key_does() {
    // The same table and the same secrets, with the function told otherwise.
    let world = World::without_keys(&[("SIGNING_ALGORITHM", "RS256")]);
    let es256 = World::new();
    let secret = es256.emulator.secrets().current_value("SigningKeys").unwrap();
    let put = json!({"SecretId": "SigningKeys", "ClientRequestToken": "es256", "SecretString": secret});
    assert_eq!(world.emulator.secrets().answer("PutSecretValue", &put.to_string()).0, 200);
    world.put_item(&es256.item("KEYS", "JWKS"));

    let person = world.signed_in_person().await;
    world.rotate_keys().await.unwrap();
    world.advance(120);
    let algorithms: Vec<_> = world.jwks().await.iter().map(|key| key["alg"].clone()).collect();
    assert_eq!(algorithms, ["ES256", "RS256"]);
    person.me().await.expect(200);
    world.advance(BEFORE - 120);
    person.sign_in().await;
    assert_eq!(Parts::of(&person.access_token()).header["alg"], "RS256");
    person.me().await.expect(200);
    person.refresh().await.expect(200);
}

#[tokio::test]
async fn what_is_no_event_of_ours_changes_nothing() {
    let (world, person) = new_world().await;
    let before = world.item("KEYS", "JWKS");
    for event in [
        json!({}),
        json!("createSecret"),
        json!({"Step": "deleteSecret", "SecretId": "SigningKeys", "ClientRequestToken": "x"}),
        json!({"Step": "createSecret", "SecretId": "SecretKey", "ClientRequestToken": "x"}),
        json!({"Step": "createSecret", "SecretId": "SigningKeys", "ClientRequestToken": "x"}),
        json!({"remove_key": "no such key"}),
        json!({"remove_key": null}),
    ] {
        let error = world.invoke("rotate-keys", event.clone()).await.unwrap_err();
        assert!(error.starts_with("internal"), "{event}: {error}");
    }
    assert_eq!(world.item("KEYS", "JWKS"), before);
    person.login().await.expect(200);
}

#[tokio::test]
async fn a_secret_that_is_broken_is_not_replaced() {
    let (world, _) = new_world().await;
    let put = json!({"SecretId": "SigningKeys", "ClientRequestToken": "broken", "SecretString": "{\"keys\": 3}"});
    assert_eq!(world.emulator.secrets().answer("PutSecretValue", &put.to_string()).0, 200);
    world.rotate_keys().await.unwrap_err();
    assert_eq!(world.emulator.secrets().current_value("SigningKeys").unwrap(), "{\"keys\": 3}");
}

#[tokio::test]
async fn the_table_has_no_private_key() {
    let world = World::without_keys(&[("SIGNING_ALGORITHM", "RS256")]);
    world.rotate_keys().await.unwrap();
    world.signed_in_person().await;
    let schedule = world.emulator.secrets().current_value("SigningKeys").unwrap();
    let schedule: Value = serde_json::from_str(&schedule).unwrap();
    let private_key = schedule["keys"][0]["private_key"].as_str().unwrap();
    let table = serde_json::to_string(&world.items("")).unwrap();
    assert!(!table.contains(&private_key[..40]) && !table.contains("private"));
}
