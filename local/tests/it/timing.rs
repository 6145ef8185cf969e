//! How long answers take. The counts of calls and hashes elsewhere are exact; these durations would show what they do
//! not count. Known and unknown are asked in turns, so that a busy machine slows both, and the ratio of their medians is
//! generous: a hash or a message that only one of them costs makes it several times larger. `bench/timing.py` measures
//! the 5 % of docs/threats.md#l7.

use std::time::{Duration, Instant};

use crate::harness::{OTHER_PHONE, PHONE, Person, RESET_PASSWORD, Reply, World};

/// The number of times that each of the two is asked.
const TURNS: usize = 21;

/// The largest ratio of two medians that is no difference.
const RATIO: f64 = 1.6;

async fn timed(request: impl Future<Output = Reply>) -> (Duration, u16) {
    #[expect(clippy::disallowed_methods, reason = "durations are what is measured; no rule depends on them")]
    let started = Instant::now();
    let status = request.await.status;
    (started.elapsed(), status)
}

fn median(mut durations: Vec<Duration>) -> f64 {
    durations.sort_unstable();
    durations[durations.len() / 2].as_secs_f64()
}

/// Asks for two people in turns, and returns the ratio of the medians, at least one.
async fn ratio(world: &World, people: [&Person; 2], status: u16, request: impl AsyncFn(&Person) -> Reply) -> f64 {
    let mut durations = [Vec::new(), Vec::new()];
    for turn in 0..TURNS {
        world.advance(1000);
        for at in if turn % 2 == 0 { [0, 1] } else { [1, 0] } {
            let (duration, found) = timed(request(people[at])).await;
            assert_eq!(found, status);
            durations[at].push(duration);
        }
    }
    let [known, unknown] = durations.map(median);
    (known / unknown).max(unknown / known)
}

/// Fails only if it differs three times: a machine may be busy once.
async fn same_duration(what: &str, measure: impl AsyncFn() -> f64) {
    let mut found = Vec::new();
    for _ in 0..3 {
        let ratio = measure().await;
        if ratio < RATIO {
            return;
        }
        found.push(ratio);
    }
    panic!("{what}: the medians differ by factors of {found:.2?}");
}

#[tokio::test]
async fn a_known_and_an_unknown_phone_take_the_same_time() {
    same_duration("login", async || {
        let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "100000")]).warm().await;
        let (known, unknown) = (world.person().await.mistyping(), world.visitor(OTHER_PHONE).mistyping());
        ratio(&world, [&known, &unknown], 401, async |person| person.login().await).await
    })
    .await;
    same_duration("verify-reset", async || {
        let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "100000")]).warm().await;
        let (known, unknown) = (world.person().await, world.visitor(OTHER_PHONE));
        let guess = async |person: &Person| person.verify_reset("123456", RESET_PASSWORD).await;
        ratio(&world, [&known, &unknown], 400, guess).await
    })
    .await;
    same_duration("register", async || {
        let variables = [
            ("REQUIRE_ACTIVATION", "true"),
            ("LIMIT_REGISTER_PER_ADDRESS", "100000"),
            ("LIMIT_MESSAGES_PER_PHONE", "100000"),
            ("LIMIT_MESSAGES_PER_ADDRESS", "100000"),
        ];
        let world = World::with(&variables).warm().await;
        let (known, unknown) = (world.person().await, world.visitor(OTHER_PHONE));
        ratio(&world, [&known, &unknown], 202, async |person| person.register().await).await
    })
    .await;
}

/// The test itself: a difference of one hash is found.
#[tokio::test]
async fn a_hash_that_only_one_costs_is_a_difference() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "100000")]).warm().await;
    let (hashes, refused) = (world.person().await.mistyping(), world.visitor(PHONE));
    let mut durations = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        world.advance(1000);
        durations[0].push(timed(hashes.login()).await.0);
        let without_hash = refused.post("/auth/refresh", serde_json::json!({"refresh_token": "none"}));
        durations[1].push(timed(without_hash).await.0);
    }
    let [one, other] = durations.map(median);
    assert!(one / other > RATIO, "{}", one / other);
}
