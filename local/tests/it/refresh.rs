//! `POST /auth/refresh`

use serde_json::{Value, json};

use crate::{
    harness::{NEW_PASSWORD, RESET_PASSWORD, World},
    jwt_attacks::Parts,
};

const DAY: u64 = 24 * 3600;

/// What clients made before they asked.
const ATTEMPT: &str = "5bca2cf1-3a57-4f6b-9c1c-8f8f7f2f1072";
const OTHER_ATTEMPT: &str = "0J1n2c9xkQ7vY5m3sT8bWg";

/// Where people are not at home.
const ELSEWHERE: &str = "198.51.100.99";

/// The audit events of refreshes.
fn events(world: &World) -> Vec<Value> {
    let lines = world.audit_log.all();
    lines.into_iter().filter(|event| event["event"] == "refresh").collect()
}

/// What was counted by a metric: the value of its dimension, each time.
fn counted(world: &World, metric: &str, dimension: &str) -> Vec<String> {
    let lines = world.metrics.all();
    let counts = lines.into_iter().filter(|line| line[metric] == 1);
    counts.map(|line| line[dimension].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_refresh_token_gets_a_new_pair_that_works() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let first = person.refresh_token();
    world.advance(900);
    let reply = person.refresh().await.expect(200);
    assert_eq!((reply.text("token_type"), &reply.body["expires_in"]), ("bearer", &json!(900)));
    assert!(first != person.refresh_token());
    person.me().await.expect(200);
    person.refresh().await.expect(200);
}

#[tokio::test]
async fn within_the_grace_the_spent_token_gets_the_same_successor() {
    for late in [0, 10, 15, 30] {
        let world = World::new();
        let person = world.signed_in_person().await;
        let missed_the_answer = person.with_copied_tokens();
        person.refresh().await.expect(200);
        world.advance(late);
        missed_the_answer.refresh().await.expect(200);
        assert!(person.refresh_token() == missed_the_answer.refresh_token(), "no fork");
        missed_the_answer.me().await.expect(200);
        person.refresh().await.expect(200);
    }
}

#[tokio::test]
async fn with_its_attempt_a_retry_gets_the_same_successor_however_late_and_from_wherever() {
    for late in [0, 10, 15, 30, 60, 3600, 13 * DAY] {
        let world = World::new();
        let person = world.signed_in_person().await.with_attempt(ATTEMPT);
        let missed_the_answer = person.with_copied_tokens().at(ELSEWHERE).with_header("user-agent", "another");
        person.refresh().await.expect(200);
        for _ in 0..2 {
            world.advance(late);
            let asks_again = missed_the_answer.with_copied_tokens();
            asks_again.refresh().await.expect(200);
            assert!(person.refresh_token() == asks_again.refresh_token(), "no fork");
            asks_again.me().await.expect(200);
            if late > DAY {
                break;
            }
        }
        person.with_attempt(OTHER_ATTEMPT).refresh().await.expect(200);
    }
}

#[tokio::test]
async fn once_the_successor_is_used_its_predecessor_is_theft_even_with_its_attempt() {
    let person = World::new().signed_in_person().await.with_attempt(ATTEMPT);
    let late = person.with_copied_tokens();
    person.refresh().await.expect(200);
    person.with_attempt(OTHER_ATTEMPT).refresh().await.expect(200);
    late.refresh().await.expect_problem(401, "invalid-token");
    person.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_token_that_was_spent_with_an_attempt_is_for_nobody_else() {
    for attempt in [None, Some(OTHER_ATTEMPT)] {
        let person = World::new().signed_in_person().await;
        let thief = person.with_copied_tokens();
        let thief = attempt.map_or_else(|| thief.clone(), |attempt| thief.with_attempt(attempt));
        person.with_attempt(ATTEMPT).refresh().await.expect(200);
        thief.refresh().await.expect_problem(401, "invalid-token");
        person.me().await.expect_problem(401, "invalid-token");
        person.refresh().await.expect_problem(401, "invalid-token");
    }
}

#[tokio::test]
async fn a_thief_who_had_the_attempt_as_well_is_caught_by_the_next_one() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let thief = person.with_copied_tokens().at(ELSEWHERE);
    person.with_attempt(ATTEMPT).refresh().await.expect(200);
    thief.with_attempt(ATTEMPT).refresh().await.expect(200);
    world.advance(900);
    person.with_attempt(OTHER_ATTEMPT).refresh().await.expect(200);
    thief.with_attempt("the-thief-made-this-one").refresh().await.expect_problem(401, "invalid-token");
    person.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn an_attempt_is_a_random_value_and_is_stored_as_a_keyed_hash() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let (short, long) = ("a".repeat(15), "a".repeat(129));
    for wrong in ["1", &short, &long, "sixteen letters and spaces", "über-sechzehn-zeichen"] {
        let reply = person.with_attempt(wrong).refresh().await.expect_fields(&["/attempt"]);
        assert!(reply.body["errors"][0]["detail"].as_str().unwrap().contains("16 to 128"));
    }
    let token = person.refresh_token();
    for wrong in [json!(1), json!(true), json!([ATTEMPT]), json!({})] {
        let body = json!({"refresh_token": token, "attempt": wrong});
        world.post("/auth/refresh", body).await.expect_fields(&["/attempt"]);
    }
    for right in ["a".repeat(16), "a".repeat(128), ATTEMPT.to_owned(), "AZaz09-._~+/==AZaz09".to_owned()] {
        person.with_attempt(&right).refresh().await.expect(200);
        let sessions = world.items("USER#").into_iter().filter(|item| item["sk"]["S"] != "PROFILE");
        assert!(sessions.clone().count() == 1 && sessions.into_iter().all(|item| !item.to_string().contains(&right)));
    }
    let body = json!({"refresh_token": person.refresh_token(), "attempt": null});
    world.post("/auth/refresh", body).await.expect(200);
}

/// The exploit of a thief who has one copy of the tokens, looks when the session was used last, and then sends the token
/// that was spent a moment ago.
#[tokio::test]
async fn a_thief_who_follows_a_session_is_caught_by_his_second_step() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    let thief = person.with_copied_tokens().at(ELSEWHERE);

    world.advance(900);
    person.refresh().await.expect(200);
    world.advance(2);
    thief.refresh().await.expect(200);
    assert!(person.refresh_token() == thief.refresh_token(), "the thief is one of two who hold it");

    world.advance(900);
    person.refresh().await.expect(200);
    world.advance(2);
    thief.refresh().await.expect_problem(401, "invalid-token");
    for device in [&person, &thief] {
        device.me().await.expect_problem(401, "invalid-token");
        device.refresh().await.expect_problem(401, "invalid-token");
    }

    let reasons: Vec<_> = events(&world).into_iter().map(|event| event["reason"].clone()).collect();
    laptop.refresh().await.expect(200);
    let ended = "session-ended";
    assert_eq!(
        reasons,
        [json!(null), json!("grace-other-client"), json!(null), json!("reused"), json!(ended), json!(ended)]
    );
    assert_eq!(counted(&world, "RefreshGraceUses", "Client"), ["other"]);
    assert_eq!(counted(&world, "RefreshTokenReuse", "Reason"), ["other-client-again"]);
}

#[tokio::test]
async fn a_thief_who_asks_first_the_second_time_is_caught_by_the_owner() {
    for late in [2, 31] {
        let world = World::new();
        let person = world.signed_in_person().await;
        let thief = person.with_copied_tokens().at(ELSEWHERE);
        person.refresh().await.expect(200);
        thief.refresh().await.expect(200);
        world.advance(800);
        thief.refresh().await.expect(200);
        world.advance(late);
        person.refresh().await.expect_problem(401, "invalid-token");
        thief.me().await.expect_problem(401, "invalid-token");
    }
}

#[tokio::test]
async fn a_thief_who_hurries_on_is_caught_by_the_owner_as_well() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let thief = person.with_copied_tokens().at(ELSEWHERE);
    person.refresh().await.expect(200);
    thief.refresh().await.expect(200);
    for _ in 0..3 {
        thief.refresh().await.expect(200);
    }
    person.refresh().await.expect_problem(401, "invalid-token");
    thief.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn of_other_clients_one_gets_the_successor() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let (second, third) = (person.with_copied_tokens().at(ELSEWHERE), person.with_copied_tokens().at("192.0.2.1"));
    let asks_again = second.with_copied_tokens();
    person.refresh().await.expect(200);
    second.refresh().await.expect(200);
    // The same one again, whose answer was lost as well, gains nothing.
    asks_again.refresh().await.expect(200);
    third.refresh().await.expect_problem(401, "invalid-token");
    person.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn two_tabs_may_use_the_grace_at_every_rotation() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let tabs = [person.at("203.0.113.7"), person.with_copied_tokens().at("203.0.113.200")];
    for rotation in 0..50 {
        world.advance(900);
        let (first, second) = (&tabs[rotation % 2], &tabs[(rotation + 1) % 2]);
        first.refresh().await.expect(200);
        world.advance(u64::try_from(rotation).unwrap() % 31);
        second.refresh().await.expect(200);
        assert!(first.refresh_token() == second.refresh_token(), "no fork");
    }
    assert_eq!(counted(&world, "RefreshGraceUses", "Client"), ["same"; 50]);
    let of_grace = events(&world).into_iter().filter(|event| event["reason"] == "grace");
    assert_eq!(of_grace.count(), 50, "each is an event");
    assert!(counted(&world, "RefreshTokenReuse", "Reason").is_empty());
}

#[tokio::test]
async fn a_client_that_changes_its_network_now_and_then_keeps_its_session() {
    let world = World::new();
    let person = world.signed_in_person().await;
    for rotation in 0..10 {
        world.advance(900);
        let missed_the_answer = person.with_copied_tokens();
        person.refresh().await.expect(200);
        if rotation % 2 == 0 {
            missed_the_answer.at(ELSEWHERE).refresh().await.expect(200);
        }
    }
    person.me().await.expect(200);
}

#[tokio::test]
async fn tabs_are_of_one_network_by_24_bits_of_ipv4_and_64_of_ipv6() {
    for (one, other, same) in [
        ("203.0.113.7", "203.0.113.7", true),
        ("203.0.113.7", "203.0.113.255", true),
        ("203.0.113.7", "203.0.112.7", false),
        ("2001:db8:1:2::7", "2001:db8:1:2:ffff::1", true),
        ("2001:db8:1:2::7", "2001:db8:1:3::7", false),
        ("::ffff:203.0.113.7", "203.0.113.9", true),
    ] {
        let world = World::new();
        let person = world.signed_in_person().await;
        let tab = person.with_copied_tokens().at(other);
        person.at(one).refresh().await.expect(200);
        tab.refresh().await.expect(200);
        assert_eq!(
            counted(&world, "RefreshGraceUses", "Client"),
            [if same { "same" } else { "other" }],
            "{one} {other}"
        );
    }
    let world = World::new();
    let person = world.signed_in_person().await;
    let browser = person.with_copied_tokens().with_header("user-agent", "curl/8");
    person.refresh().await.expect(200);
    browser.refresh().await.expect(200);
    assert_eq!(counted(&world, "RefreshGraceUses", "Client"), ["other"]);
}

#[tokio::test]
async fn a_spent_token_after_the_grace_ends_the_session_and_its_access_tokens() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let thief = person.with_copied_tokens();
    let laptop = person.on_another_device().signed_in().await;
    person.refresh().await.expect(200);
    world.advance(31);
    thief.refresh().await.expect_problem(401, "invalid-token");
    person.me().await.expect_problem(401, "invalid-token");
    person.refresh().await.expect_problem(401, "invalid-token");
    laptop.me().await.expect(200);
}

#[tokio::test]
async fn a_theft_ends_the_session_even_if_the_published_keys_cannot_be_read() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let thief = person.with_copied_tokens();
    person.refresh().await.expect(200);
    assert_eq!(world.sessions().len(), 1);
    let mut keys = world.item("KEYS", "JWKS");
    keys["public_keys"]["S"] = "[".into();
    world.put_item(&keys);
    world.advance(31);
    thief.refresh().await.expect_problem(401, "invalid-token");
    assert_eq!(world.sessions().len(), 0);
}

#[tokio::test]
async fn a_token_two_rotations_old_is_theft_at_once() {
    let person = World::new().signed_in_person().await;
    let thief = person.with_copied_tokens();
    person.refresh().await.expect(200);
    person.refresh().await.expect(200);
    thief.refresh().await.expect_problem(401, "invalid-token");
    person.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn without_a_grace_the_second_use_is_theft() {
    let world = World::with(&[("REFRESH_GRACE_SECONDS", "0")]);
    let person = world.signed_in_person().await;
    let thief = person.with_copied_tokens();
    person.refresh().await.expect(200);
    world.advance(1);
    thief.refresh().await.expect_problem(401, "invalid-token");
    person.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_session_lives_thirty_days_and_no_refresh_makes_it_longer() {
    let world = World::new();
    let person = world.signed_in_person().await;
    for _ in 0..29 {
        world.advance(DAY);
        person.refresh().await.expect(200);
    }
    world.advance(DAY - 1);
    person.refresh().await.expect(200);
    world.advance(1);
    person.refresh().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn an_unused_session_lives_fourteen_days() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.advance(14 * DAY - 1);
    person.refresh().await.expect(200);
    world.advance(14 * DAY);
    person.refresh().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_change_of_password_and_a_reset_end_refresh_tokens() {
    let person = World::new().signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    person.change_password(NEW_PASSWORD).await.expect(200);
    laptop.refresh().await.expect_problem(401, "invalid-token");
    person.refresh().await.expect(200);
    person.reset_password(RESET_PASSWORD).await;
    person.refresh().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn what_we_did_not_make_is_refused_before_anything_is_read() {
    let world = World::new().warm().await;
    let person = world.signed_in_person().await;
    world.calls();
    let token = person.refresh_token();
    let others = [
        person.access_token(),
        token[..token.len() - 1].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        token.to_lowercase(),
        format!("B{}", &token[1..]),
        String::new(),
    ];
    for other in others {
        let body = json!({"refresh_token": other});
        world.post("/auth/refresh", body).await.expect_problem(401, "invalid-token");
    }
    assert!(world.calls().is_empty());
    for body in [json!({}), json!({"refresh_token": 1}), json!({"refresh_token": null})] {
        world.post("/auth/refresh", body).await.expect_fields(&["/refresh_token"]);
    }
    person.refresh().await.expect(200);
}

#[tokio::test]
async fn the_time_of_the_login_stays_in_the_tokens() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.advance(DAY);
    person.refresh().await.expect(200);
    let claims = Parts::of(&person.access_token()).claims;
    assert_eq!(claims["auth_time"], 1_800_000_000);
    assert_eq!(claims["iat"], 1_800_000_000 + DAY);
}

#[tokio::test]
async fn the_session_in_use_outlives_those_that_a_script_starts() {
    let world = World::new();
    let app = world.signed_in_person().await;
    for _ in 0..25 {
        app.refresh().await.expect(200);
        world.advance(1);
        app.on_another_device().sign_in().await;
        world.advance(1);
    }
    app.me().await.expect(200);
    app.refresh().await.expect(200);
}

#[tokio::test]
async fn of_a_users_sessions_twenty_live_and_the_one_unused_longest_goes() {
    let world = World::new();
    let person = world.person().await;
    let mut devices = Vec::new();
    for _ in 0..21 {
        devices.push(person.on_another_device().signed_in().await);
        world.advance(1);
    }
    let (oldest, others) = devices.split_first().unwrap();
    oldest.me().await.expect_problem(401, "invalid-token");
    for device in others {
        device.me().await.expect(200);
    }
    let stored = world.items("USER#").into_iter().filter(|item| item["sk"]["S"] != "PROFILE");
    assert_eq!(stored.count(), 20);
}

/// A login reads the user's sessions only if as many logins as sessions are allowed have followed the last count.
#[tokio::test]
async fn sessions_are_read_only_when_there_may_be_too_many() {
    let world = World::new();
    let person = world.person().await;
    let reads = || {
        let is_read =
            |call: &local::emulator::Call| call.permissions.iter().any(|asked| asked.action == "dynamodb:Query");
        world.calls().iter().filter(|call| is_read(call)).count()
    };
    for _ in 0..20 {
        person.sign_in().await;
    }
    assert_eq!(reads(), 0, "an account's first twenty");
    person.sign_in().await;
    assert_eq!(reads(), 1, "the twenty-first may be one too many");
    person.logout_all().await.expect(204);
    person.sign_in().await;
    assert_eq!(reads(), 1, "nobody counted what was ended");
    for _ in 0..19 {
        person.sign_in().await;
    }
    assert_eq!(reads(), 0, "it was counted then");
    person.sign_in().await;
    assert_eq!(reads(), 1);

    let mut credential = world.item("PHONE#", "CREDENTIAL");
    credential.as_object_mut().unwrap().remove("sessions_at_most");
    world.put_item(&credential);
    person.sign_in().await;
    assert_eq!(reads(), 1, "an account of an older version");
    person.sign_in().await;
    assert_eq!(reads(), 1, "which has twenty");
}

/// Clients store a UUID as text of either case, or as a UUID.
#[tokio::test]
async fn an_attempt_that_is_a_uuid_is_the_same_in_capitals() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let uuid = "5bca2cf1-3a57-4f6b-9c1c-8f8f7f2f1072";
    let deaf = person.with_copied_tokens();
    let first = person.with_attempt(uuid).refresh().await.expect(200);
    world.advance(3600);
    let again = deaf.with_attempt(&uuid.to_uppercase()).refresh().await.expect(200);
    assert!(first.text("refresh_token") == again.text("refresh_token"));
}
