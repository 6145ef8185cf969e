//! Removal of a leaked signing key: in no order of events is it public again, does it sign, or do new tokens verify
//! nowhere, and sign-in stays up all the while.
//!
//! Each test counts the orders of events that it tried, and fails if the count is not what it says: a test that tries
//! less than it seems to would pass too easily.

use std::{cell::Cell, collections::BTreeSet};

use local::emulator::Fault;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    harness::{Person, World},
    rotate_keys::{PERIOD, STEPS, begin, kids, new_world, step},
};

/// The calls that `rotate-keys` makes.
const CALLS: [&str; 5] = ["GetSecretValue", "GetItem", "UpdateItem", "PutSecretValue", "UpdateSecretVersionStage"];

/// What happens to a call. Three in a row, because the SDK repeats a call twice.
const FAULTS: [Fault; 3] = [Fault::LostRequest, Fault::LostReply, Fault::Error("InternalServerError")];

async fn remove(world: &World, kid: &str) -> Result<Value, String> {
    world.invoke("rotate-keys", json!({ "remove_key": kid })).await
}

/// The deny list that the table holds.
fn denied(world: &World) -> BTreeSet<String> {
    let list = world.item("KEYS", "JWKS")["removed_keys"]["SS"].clone();
    list.as_array().into_iter().flatten().map(|kid| kid.as_str().unwrap().to_owned()).collect()
}

/// Runs something after a few turns of the scheduler, of which each call takes one or two.
async fn after<T>(turns: usize, run: impl Future<Output = T>) -> T {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
    run.await
}

/// Somebody with a session that each of these keys has signed for, and functions that know nothing but that.
struct Scene {
    world: World,
    person: Person,
    /// The key that signs, and then the key that waits for its turn.
    keys: Vec<String>,
    /// A device with a token of the first key.
    victim: Person,
    /// The functions that have read their keys, a moment ago.
    warm: BTreeSet<String>,
}

impl Scene {
    /// With one key.
    async fn one_key() -> Self {
        static PREPARED: OnceCell<Scene> = OnceCell::const_new();
        let prepare = async || {
            let (world, person) = new_world().await;
            Self::of(world, person).await
        };
        PREPARED.get_or_init(prepare).await.copy().await
    }

    /// With a second key that signs in two hours.
    async fn two_keys() -> Self {
        static PREPARED: OnceCell<Scene> = OnceCell::const_new();
        let prepare = async || {
            let (world, person) = new_world().await;
            world.advance(PERIOD);
            world.rotate_keys().await.unwrap();
            Self::of(world, person).await
        };
        PREPARED.get_or_init(prepare).await.copy().await
    }

    async fn of(world: World, person: Person) -> Self {
        let victim = person.on_another_device().signed_in().await;
        victim.me().await.expect(200);
        assert!(is_authorized(&world, &victim).await);
        let keys = kids(&world).await;
        assert_eq!(victim.kid(), keys[0]);
        // This world never ends, which would check it.
        world.check_table("prepared");
        let warm = world.calls().into_iter().map(|call| call.function).collect();
        Self { world, person, keys, victim, warm }
    }

    /// The same state in a world of its own.
    async fn copy(&self) -> Self {
        let world = self.world.copy(&self.warm, 0).await;
        let (person, victim) = (self.person.copied_to(&world), self.victim.copied_to(&world));
        Self { world, person, keys: self.keys.clone(), victim, warm: self.warm.clone() }
    }

    /// Checks what must hold at every moment, on functions that are warm and at the same second: no time passes for any
    /// copy to grow old.
    async fn check(&self, what: &str) {
        let Self { world, person, victim, .. } = self;
        let denied = denied(world);
        let public = kids(world).await;
        assert!(public.iter().all(|kid| !denied.contains(kid)), "{what}: a removed key is public");
        let reply = person.login().await;
        assert_eq!(reply.status, 200, "{what}: nobody can sign in");
        assert!(!denied.contains(&person.kid()), "{what}: a removed key signs");
        assert!(public.contains(&person.kid()), "{what}: a key that is not public signs");
        assert_eq!(person.me().await.status, 200, "{what}: a new token does not verify");
        assert!(is_authorized(world, person).await, "{what}: a new token does not verify at the authorizer");
        let refreshed = person.refresh().await;
        assert_eq!(refreshed.status, 200, "{what}: a session does not continue");
        assert_eq!(person.me().await.status, 200, "{what}: a refreshed token does not verify");
        if denied.contains(&self.keys[0]) {
            assert_eq!(victim.me().await.status, 401, "{what}: a token of the leaked key");
            assert!(!is_authorized(world, victim).await, "{what}: a token of the leaked key at the authorizer");
        }
    }

    /// The next rotation, which may have to be begun twice: one that was overtaken gives up.
    async fn rotate(&self) {
        if self.world.rotate_keys().await.is_err() {
            self.world.rotate_keys().await.expect("the second rotation in a row succeeds");
        }
    }
}

async fn is_authorized(world: &World, person: &Person) -> bool {
    let event = json!({"version": "2.0", "headers": {"authorization": format!("Bearer {}", person.access_token())}});
    world.invoke("authorizer", event).await.unwrap()["isAuthorized"] == true
}

/// The exploit of a removal that stops between table and secret, and the rotation after it.
#[tokio::test(start_paused = true)]
async fn a_removal_that_stops_half_way_is_not_undone_by_the_next_rotation() {
    let scene = Scene::one_key().await;
    let leaked = &scene.keys[0];
    scene.world.emulator.faults().inject("PutSecretValue", Fault::LostRequest, 3);
    remove(&scene.world, leaked).await.unwrap_err();
    scene.world.emulator.faults().clear();
    assert!(denied(&scene.world).contains(leaked), "the table alone removes a key");
    scene.check("meanwhile").await;
    scene.rotate().await;
    scene.check("after the next rotation").await;
    scene.world.advance(PERIOD);
    scene.check("long after").await;
    let schedule = scene.world.emulator.secrets().current_value("SigningKeys").unwrap();
    let schedule: Value = serde_json::from_str(&schedule).unwrap();
    assert!(!schedule["keys"].to_string().contains(leaked.as_str()), "the secret has lost it, too");
    assert_eq!(schedule["removed"], json!([leaked]), "and has it on its deny list");
}

/// Whichever call of a removal fails, before or after it took effect: the invariants hold at once, after the next
/// rotation, and after the removal that the operator repeats.
#[tokio::test(start_paused = true)]
async fn a_removal_may_fail_at_every_call() {
    let (tried, failed) = (Cell::new(0), Cell::new(0));
    for call in CALLS {
        for nth in 0..4 {
            // A read that fails has no effect, whichever way it fails.
            let faults = if call.starts_with("Get") { &FAULTS[..1] } else { &FAULTS[..] };
            for &fault in faults {
                for rotates_first in [true, false] {
                    let scene = Scene::one_key().await;
                    let leaked = &scene.keys[0];
                    let what = format!("{call} number {nth} with {fault:?}, rotation first: {rotates_first}");
                    let faults = scene.world.emulator.faults();
                    faults.inject_after(call, nth, fault, 3);
                    let removed = remove(&scene.world, leaked).await;
                    let was_used = !faults.is_waiting();
                    faults.clear();
                    if !was_used {
                        // The removal makes no more calls of this operation.
                        removed.unwrap();
                        continue;
                    }
                    tried.set(tried.get() + 1);
                    failed.set(failed.get() + usize::from(removed.is_err()));
                    scene.check(&format!("{what}: at once")).await;
                    if rotates_first {
                        scene.rotate().await;
                        scene.check(&format!("{what}: after the next rotation")).await;
                    }
                    let again = remove(&scene.world, leaked).await;
                    assert!(again.is_ok() || denied(&scene.world).contains(leaked), "{what}: {again:?}");
                    scene.check(&format!("{what}: after the next removal")).await;
                    assert!(denied(&scene.world).contains(leaked), "{what}");
                    scene.rotate().await;
                    scene.check(&format!("{what}: in the end")).await;
                }
            }
        }
    }
    println!("removals with a failing call: {}, of which {} reported it", tried.get(), failed.get());
    assert_eq!(tried.get(), 30);
}

/// Two removals at once, of two keys or of the same one, with every head start: both count.
#[tokio::test]
async fn removals_at_once_all_count() {
    let mut tried = 0;
    for same in [false, true] {
        for head_start in 0..16 {
            for swapped in if same { &[false][..] } else { &[false, true] } {
                let scene = Scene::two_keys().await;
                let world = &scene.world;
                let (mut one, mut other) = (&scene.keys[0], if same { &scene.keys[0] } else { &scene.keys[1] });
                if *swapped {
                    (one, other) = (other, one);
                }
                let (first, second) = tokio::join!(remove(world, one), after(head_start, remove(world, other)));
                let what = format!("the same key: {same}, {head_start} turns, swapped: {swapped}");
                assert!(first.is_ok(), "{what}: {first:?}");
                assert!(second.is_ok() || same, "{what}: {second:?}");
                let removed = denied(world);
                assert!(removed.contains(one) && removed.contains(other), "{what}");
                scene.check(&what).await;
                scene.rotate().await;
                scene.check(&format!("{what}, and a rotation")).await;
                tried += 1;
            }
        }
    }
    println!("pairs of removals: {tried}");
    assert_eq!(tried, 48);
}

/// Two removals at once, and one of them loses a call.
#[tokio::test(start_paused = true)]
async fn removals_at_once_of_which_one_fails_leave_nobody_out() {
    let mut tried = 0;
    for call in ["UpdateItem", "PutSecretValue", "UpdateSecretVersionStage"] {
        for fault in FAULTS {
            for head_start in [0, 1, 2, 5, 8, 13] {
                let scene = Scene::two_keys().await;
                let world = &scene.world;
                world.emulator.faults().inject(call, fault, 3);
                let (_, _) =
                    tokio::join!(remove(world, &scene.keys[0]), after(head_start, remove(world, &scene.keys[1])));
                world.emulator.faults().clear();
                let what = format!("{call} with {fault:?}, {head_start} turns");
                scene.check(&format!("{what}: at once")).await;
                scene.rotate().await;
                scene.check(&format!("{what}: after the next rotation")).await;
                for kid in &scene.keys {
                    let again = remove(world, kid).await;
                    assert!(denied(world).contains(kid), "{what}: {again:?}");
                }
                scene.check(&format!("{what}: repeated")).await;
                tried += 1;
            }
        }
    }
    println!("pairs of removals with a failing call: {tried}");
    assert_eq!(tried, 54);
}

/// A removal beside each step of a rotation, with every head start of either.
#[tokio::test]
async fn a_removal_beside_any_step_of_a_rotation_counts() {
    let mut tried = 0;
    for beside in 0..STEPS.len() {
        for head_start in (0..16).step_by(2) {
            for removal_waits in [false, true] {
                let scene = Scene::one_key().await;
                let (world, leaked) = (&scene.world, &scene.keys[0]);
                let token = begin(world);
                for name in &STEPS[..beside] {
                    step(world, &token, name).await.unwrap();
                }
                let (removal, rotation) = if removal_waits { (head_start, 0) } else { (0, head_start) };
                let (removed, _) = tokio::join!(
                    after(removal, remove(world, leaked)),
                    after(rotation, step(world, &token, STEPS[beside]))
                );
                let what = format!("{}, {head_start} turns, the removal waits: {removal_waits}", STEPS[beside]);
                assert!(removed.is_ok(), "{what}: {removed:?}");
                assert!(denied(world).contains(leaked), "{what}");
                scene.check(&what).await;
                for name in &STEPS[beside..] {
                    let _ = step(world, &token, name).await;
                    scene.check(&format!("{what}, then {name}")).await;
                }
                scene.rotate().await;
                scene.check(&format!("{what}, and the next rotation")).await;
                tried += 1;
            }
        }
    }
    println!("removals beside a step of a rotation: {tried}");
    assert_eq!(tried, 64);
}

/// A removal that loses a call in the middle of a rotation, which then goes on.
#[tokio::test(start_paused = true)]
async fn a_removal_that_fails_in_a_rotation_is_completed_by_it_or_by_the_next() {
    let mut tried = 0;
    for done in 0..=STEPS.len() {
        for call in ["UpdateItem", "PutSecretValue", "UpdateSecretVersionStage"] {
            for fault in FAULTS {
                let scene = Scene::one_key().await;
                let (world, leaked) = (&scene.world, &scene.keys[0]);
                let token = begin(world);
                for name in &STEPS[..done] {
                    step(world, &token, name).await.unwrap();
                }
                world.emulator.faults().inject(call, fault, 3);
                let _ = remove(world, leaked).await;
                world.emulator.faults().clear();
                let is_removed = denied(world).contains(leaked);
                let what = format!("after {done} steps, {call} with {fault:?}");
                scene.check(&what).await;
                for name in &STEPS[done..] {
                    let _ = step(world, &token, name).await;
                    scene.check(&format!("{what}, then {name}")).await;
                }
                scene.rotate().await;
                assert!(!is_removed || denied(world).contains(leaked), "{what}: the removal was undone");
                scene.check(&format!("{what}, and the next rotation")).await;
                world.advance(PERIOD);
                scene.check(&format!("{what}, long after")).await;
                tried += 1;
            }
        }
    }
    println!("removals that fail in a rotation: {tried}");
    assert_eq!(tried, 45);
}

/// One removal after the other, each of the key that signs: as after a leak of the whole secret.
#[tokio::test]
async fn removals_in_a_row_never_run_out_of_keys() {
    let scene = Scene::one_key().await;
    for at in 0..6 {
        scene.check("before").await;
        remove(&scene.world, &scene.person.kid()).await.unwrap();
        scene.check(&format!("after {at} removals")).await;
    }
    assert_eq!(denied(&scene.world).len(), 6);
}

/// The same while the secret cannot be written: the spare key signs. A key without a successor stays until there is
/// one, and then it goes without another order.
#[tokio::test(start_paused = true)]
async fn the_last_key_stays_until_another_one_can_be_stored() {
    let scene = Scene::one_key().await;
    let world = &scene.world;
    world.emulator.faults().inject("PutSecretValue", Fault::Error("InternalServiceError"), 1000);
    remove(world, &scene.keys[0]).await.unwrap_err();
    scene.check("the first").await;
    let last = scene.person.kid();
    remove(world, &last).await.unwrap_err();
    scene.check("the last").await;
    assert!(!denied(world).contains(&last));
    world.emulator.faults().clear();
    scene.rotate().await;
    assert!(denied(world).contains(&last), "the next run has removed it");
    scene.check("the last, when it can go").await;
}

/// A leak of the whole secret: one order removes every key, also the one that nobody has seen.
#[tokio::test]
async fn every_key_is_removed_by_one_order() {
    let scene = Scene::two_keys().await;
    let before: Value =
        serde_json::from_str(&scene.world.emulator.secrets().current_value("SigningKeys").unwrap()).unwrap();
    let answer = scene.world.invoke("rotate-keys", json!({ "remove_every_key": true })).await.unwrap();
    let removed: BTreeSet<_> = answer["removed"].as_array().unwrap().iter().map(|kid| kid.as_str().unwrap()).collect();
    assert_eq!(removed.len(), 3, "two public ones and the spare one");
    scene.check("after all").await;
    let after = scene.world.emulator.secrets().current_value("SigningKeys").unwrap();
    for key in before["keys"].as_array().unwrap().iter().chain(before["spare"].as_array().unwrap()) {
        let private_key = key["private_key"].as_str().unwrap();
        assert!(!after.contains(private_key), "a private key that leaked is still there");
    }
    scene.world.invoke("rotate-keys", json!({ "remove_every_key": false })).await.unwrap_err();
}

/// An operator puts an old version of the secret back: the deny list of the table wins, and an alarm says so.
#[tokio::test]
async fn a_secret_that_was_put_back_is_overruled_and_reported() {
    let scene = Scene::one_key().await;
    let (world, leaked) = (&scene.world, &scene.keys[0]);
    let before = world.emulator.secrets().current_value("SigningKeys").unwrap();
    remove(world, leaked).await.unwrap();
    world.advance(300);
    scene.check("removed").await;
    let reported = || world.metrics.all().iter().filter(|line| line["KeyDisagreements"] == 1).count();
    assert_eq!(reported(), 0, "a removal is no disagreement");
    let put = json!({"SecretId": "SigningKeys", "ClientRequestToken": "restored", "SecretString": before});
    assert_eq!(world.emulator.secrets().answer("PutSecretValue", &put.to_string()).0, 200);
    world.advance(300);
    scene.check("restored").await;
    assert!(reported() > 0, "sign-ins report it");
    scene.rotate().await;
    scene.check("repaired").await;
    let so_far = reported();
    world.advance(600);
    scene.check("later").await;
    assert_eq!(reported(), so_far, "the rotation has repaired it");
}

/// An operator restores the table from a backup that is older than the removal: the deny list of the secret wins at the
/// next run.
#[tokio::test]
async fn a_table_that_was_restored_is_overruled_by_the_secret() {
    let scene = Scene::one_key().await;
    let (world, leaked) = (&scene.world, &scene.keys[0]);
    let before = world.item("KEYS", "JWKS");
    remove(world, leaked).await.unwrap();
    world.put_item(&before);
    assert!(kids(world).await.contains(leaked));
    // Nothing is signed with the key meanwhile, and the alarm rings; who only verifies knows the table alone.
    let table = |line: &Value| line["KeyDisagreements"] == 1 && line["Behind"] == "table";
    world.advance(300);
    scene.victim.login().await.expect_problem(503, "temporarily-unavailable");
    assert!(world.metrics.all().iter().any(table), "sign-ins report it");
    scene.rotate().await;
    assert!(denied(world).contains(leaked));
    scene.check("repaired").await;
    scene.victim.login().await.expect(200);
}

/// A removed key is refused by the request after the removal, wherever the caller's session is read; elsewhere after
/// ten seconds.
#[tokio::test]
async fn a_removed_key_is_refused_at_once() {
    let scene = Scene::one_key().await;
    let victim = &scene.victim;
    victim.sessions().await.expect(200);
    remove(&scene.world, &scene.keys[0]).await.unwrap();
    victim.me().await.expect_problem(401, "invalid-token");
    victim.export().await.expect_problem(401, "invalid-token");
    victim.change_password("another password").await.expect_problem(401, "invalid-token");
    victim.logout_all().await.expect_problem(401, "invalid-token");
    scene.world.advance(10);
    victim.sessions().await.expect_problem(401, "invalid-token");
    victim.logout().await.expect_problem(401, "invalid-token");
    // The session itself is not to blame: it goes on with the other key.
    victim.refresh().await.expect(200);
    victim.me().await.expect(200);
}

/// The first step of a login is worth nothing once its key is removed.
#[tokio::test]
async fn the_token_of_a_second_step_dies_with_its_key() {
    let world = World::without_keys(&[]);
    world.rotate_keys().await.unwrap();
    let person = world.person_with_factor().await;
    person.login_mfa_after_first_step().await.expect(200);
    person.first_step().await;
    world.advance(30);
    let kid = kids(&world).await.remove(0);
    remove(&world, &kid).await.unwrap();
    person.login_mfa().await.expect_problem(401, "invalid-token");
    person.sign_in().await;
}

impl Person {
    /// Both steps of a login.
    async fn login_mfa_after_first_step(&self) -> crate::harness::Reply {
        self.first_step().await;
        self.login_mfa().await
    }
}
