//! Versions of the master secret: rotation, leaks and retirement, as people and operators meet them, on a clock that
//! the test moves.

use admin::{
    secret::{self, Desk},
    users::Action,
};
use latchkey::base::kid::Kid;
use local::emulator::Fault;
use serde_json::{Value, json};

use crate::{
    admin::{act, connection},
    harness::{NEW_PASSWORD, OTHER_PHONE, PHONE, Person, THIRD_PHONE, World, another_code},
    rotate_keys::STEPS,
};

/// The ten minutes for which a key is announced before it writes.
const ANNOUNCED: u64 = 600;
/// The time after which a version that was followed may be retired: two and a quarter hours.
const STOPPED: u64 = 8100;
const ACTIVATION: [(&str, &str); 1] = [("REQUIRE_ACTIVATION", "true")];
const CALLS: [&str; 4] = ["GetSecretValue", "PutSecretValue", "DescribeSecret", "UpdateSecretVersionStage"];
const FAULTS: [Fault; 3] = [Fault::LostRequest, Fault::LostReply, Fault::Error("InternalServiceError")];

/// The text of the secret, as Secrets Manager keeps it.
fn text(world: &World) -> String {
    world.emulator.secrets().current_value("SecretKey").unwrap()
}

/// The versions: number and whether it has leaked.
fn versions(world: &World) -> Vec<(u64, bool)> {
    let secret: Value = serde_json::from_str(&text(world)).unwrap();
    let keys = secret["keys"].as_array().unwrap();
    keys.iter().map(|key| (key["kid"].as_u64().unwrap(), key["leaked"] == true)).collect()
}

async fn leak(world: &World, newest: u8) -> Result<Value, String> {
    world.invoke("rotate-secret", json!({ "leaked": newest })).await
}

async fn step(world: &World, token: &str, step: &str) -> Result<Value, String> {
    let event = json!({"Step": step, "SecretId": "SecretKey", "ClientRequestToken": token});
    world.invoke("rotate-secret", event).await
}

fn begin(world: &World) -> String {
    world.emulator.secrets().begin_rotation("SecretKey").unwrap()
}

async fn status(world: &World) -> String {
    let connection = connection(world, &[]);
    secret::status(desk(&connection, world)).await.unwrap()
}

async fn retire(world: &World, key: u8, lose: Option<usize>) -> Result<String, String> {
    let connection = connection(world, &[]);
    let done = secret::retire(desk(&connection, world), Kid::from_byte(key).unwrap(), lose, |_| ()).await;
    done.map_err(|error| error.to_string())
}

fn desk<'a>(connection: &'a operator::Connection, world: &World) -> Desk<'a> {
    Desk {
        store: &connection.store,
        secrets: &connection.clients.secrets,
        config: &connection.config,
        operator: &connection.operator,
        now: world.clock.now(),
    }
}

/// The line of `admin secret status` about a key, in words.
async fn line(world: &World, key: u8) -> Vec<String> {
    let status = status(world).await;
    let line = status.lines().find(|line| line.split_whitespace().next() == Some(&key.to_string()));
    line.unwrap_or_else(|| panic!("{status}")).split_whitespace().map(str::to_owned).collect()
}

/// The version that sealed the second factor of the only person who has one.
fn sealed_with(world: &World) -> u8 {
    first_bytes(&world.item("USER#", "MFA")["totp_secret"])[1]
}

/// The version that sealed the key of their recovery codes.
fn recovery_codes_with(world: &World) -> u8 {
    first_bytes(&world.item("USER#", "MFA")["recovery_key"])[1]
}

/// The version that made the newest code of this kind.
fn code_of(world: &World, sort: &str) -> u8 {
    let mut items = world.items("PHONE#");
    items.retain(|item| item["sk"]["S"].as_str().unwrap().starts_with(sort) && !item["codes"].is_null());
    first_bytes(&items.last().unwrap()["codes"]["L"][0]["M"]["code_mac"])[0]
}

fn first_bytes(binary: &Value) -> Vec<u8> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.decode(binary["B"].as_str().unwrap()).unwrap()
}

/// The version that a text of a client names.
fn named_by(text: &str) -> u8 {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()[1]
}

/// A registration of somebody else that waits for its code, and its code.
async fn registering(world: &World, phone: &str) -> (Person, String) {
    let visitor = world.visitor(phone);
    visitor.register().await.expect(202);
    let code = visitor.code();
    (visitor, code)
}

/// The whole story: what was made before a rotation goes on working after it, and what is made from then on names the
/// next key.
#[tokio::test]
async fn a_rotation_is_noticed_by_nobody() {
    let world = World::with(&ACTIVATION).warm().await;
    let person = world.person_with_factor().await;
    let (laptop, lost_phone) = (person.on_another_device(), person.on_another_device());
    laptop.sign_in().await;
    world.advance(30);
    assert!(!text(&world).starts_with('{'), "the secret of a new stack is one text");
    world.rotate_secret().await.unwrap();
    assert_eq!(versions(&world), [(1, false), (2, false)]);

    // A minute before its time the next key is known, and writes nothing.
    world.advance(ANNOUNCED - 60);
    lost_phone.sign_in().await;
    let (visitor, activation) = registering(&world, OTHER_PHONE).await;
    let code = person.reset_code().await;
    assert_eq!((named_by(&lost_phone.refresh_token()), named_by(&visitor.activation_id())), (1, 1));
    assert_eq!((code_of(&world, "OTP#reset"), sealed_with(&world)), (1, 1));

    // To the second, though nobody did anything.
    world.advance(60);
    laptop.refresh().await.expect(200);
    assert_eq!(named_by(&laptop.refresh_token()), 2);
    laptop.me().await.expect(200);
    visitor.activate(&activation).await.expect(201);
    person.with_code().verify_reset(&code, NEW_PASSWORD).await.expect(204);
    let sealed = (sealed_with(&world), recovery_codes_with(&world));
    assert_eq!(sealed, (2, 2), "the write that used up the code sealed both anew");
    world.advance(30);
    person.sign_in().await;
    assert_eq!(named_by(&person.refresh_token()), 2);
    person.with_recovery_code(0).first_step().await;
    person.with_recovery_code(0).login_mfa().await.expect(200);

    world.advance(60);
    let (visitor, activation) = registering(&world, THIRD_PHONE).await;
    assert_eq!((named_by(&visitor.activation_id()), code_of(&world, "OTP#activation")), (2, 2));
    visitor.activate(&activation).await.expect(201);
}

#[tokio::test]
async fn a_repeated_refresh_gets_the_same_successor_though_another_key_writes_by_then() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.rotate_secret().await.unwrap();
    world.advance(ANNOUNCED - 10);
    let lost = person.with_copied_tokens().with_attempt("an-attempt-of-this-client");
    let spare = lost.with_copied_tokens();
    lost.refresh().await.expect(200);
    world.advance(20);
    spare.refresh().await.expect(200);
    assert!(spare.refresh_token() == lost.refresh_token());
    assert_eq!(named_by(&spare.refresh_token()), 1, "the successor that the first reply had");
    // The next exchange goes over to the key that writes, and so do its repetitions in the grace.
    let tab = spare.with_copied_tokens();
    spare.refresh().await.expect(200);
    assert_eq!(named_by(&spare.refresh_token()), 2);
    // A repetition without its attempt is somebody else's, as ever.
    tab.with_attempt("an-attempt-of-a-thief").refresh().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn limits_count_on_and_audit_events_name_their_key() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let messages = async || person.export().await.expect(200).body["messages_today"].as_u64().unwrap();
    person.reset_code().await;
    let phone_before = world.audit_log.all().pop().unwrap()["phone"].clone();
    assert_eq!(messages().await, 1);
    world.rotate_secret().await.unwrap();
    world.advance(ANNOUNCED);
    person.refresh().await.expect(200);
    assert_eq!(messages().await, 1, "a limit does not start again");
    person.reset_code().await;
    assert_eq!(messages().await, 2);
    let events = world.audit_log.all();
    let event = events.iter().rfind(|event| event["event"] == "request-reset").unwrap();
    assert_eq!(event["key"], 2);
    assert!(event["phone"] != phone_before, "under another key it is another name");
    assert!(events.iter().all(|event| event["phone"].is_null() == event["key"].is_null()));
}

/// Sandboxes of which one has read the secret since and the other has not.
#[tokio::test]
async fn a_sandbox_that_meets_a_key_that_it_does_not_know_reads_the_secret_again() {
    let old = World::with(&ACTIVATION);
    let person = old.person_with_factor().await;
    let old = old.warm().await;
    let code = person.reset_code().await;
    // A leak: the next key writes at once, and the old sandboxes have a copy for almost five minutes more.
    leak(&old, 1).await.unwrap();
    let new = old.with_other_sandboxes(&ACTIVATION);
    old.advance(1);
    let person = person.served_by(&new);
    person.verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    person.sign_in().await;
    assert_eq!((named_by(&person.refresh_token()), sealed_with(&new)), (2, 2), "read once more with a leaked key");
    old.advance(60);
    let code = person.reset_code().await;
    let (visitor, activation) = registering(&new, OTHER_PHONE).await;
    old.calls();

    // Each of these functions of the old sandboxes has read the secret before.
    let (person, visitor) = (person.served_by(&old), visitor.served_by(&old));
    person.refresh().await.expect(200);
    visitor.activate(&activation).await.expect(201);
    person.with_code().verify_reset(&code, NEW_PASSWORD).await.expect(204);
    old.advance(30);
    person.sign_in().await;
}

/// What is made under a key that a sandbox cannot learn is answered with 503, and nothing is lost.
#[tokio::test]
async fn a_key_that_cannot_be_found_refuses_nobody() {
    let world = World::with(&ACTIVATION);
    let person = world.person_with_factor().await;
    let (laptop, enrolling) =
        (person.on_another_device().signed_in().await, world.person_with_phone(THIRD_PHONE).await);
    enrolling.sign_in().await;
    world.rotate_secret().await.unwrap();
    let full = text(&world);
    world.advance(ANNOUNCED);
    let (visitor, activation) = registering(&world, OTHER_PHONE).await;
    laptop.refresh().await.expect(200);
    enrolling.enroll().await;
    person.sign_in().await;
    assert_eq!(sealed_with(&world), 2);
    world.advance(30);
    let code = person.reset_code().await;
    assert_eq!(code_of(&world, "OTP#reset"), 2);

    // As if the secret had not arrived where these sandboxes read it.
    let mut short: Value = serde_json::from_str(&full).unwrap();
    short["keys"].as_array_mut().unwrap().pop();
    world.emulator.secrets().lend("SecretKey", short.to_string());
    let behind = world.with_other_sandboxes(&ACTIVATION).warm().await;
    let [laptop, person, visitor, enrolling] =
        [&laptop, &person, &visitor, &enrolling].map(|person| person.served_by(&behind));
    // More often than a code allows tries, and a login TOTP codes without a wait.
    person.first_step().await;
    behind.calls();
    for _ in 0..8 {
        laptop.refresh().await.expect_problem(503, "temporarily-unavailable");
        laptop.logout_by_refresh_token().await.expect_problem(503, "temporarily-unavailable");
        visitor.activate(&activation).await.expect_problem(503, "temporarily-unavailable");
        visitor.resend_activation().await.expect_problem(503, "temporarily-unavailable");
        person.with_code().verify_reset(&code, NEW_PASSWORD).await.expect_problem(503, "temporarily-unavailable");
        person.login_mfa().await.expect_problem(503, "temporarily-unavailable");
        let confirmation = enrolling.new_authenticator().code();
        enrolling.mfa_confirm(&confirmation).await.expect_problem(503, "temporarily-unavailable");
        behind.advance(1);
    }
    let reads = behind.calls();
    let reads = reads.iter().filter(|call| {
        call.permissions.iter().any(|permission| {
            permission.action == "secretsmanager:GetSecretValue" && permission.resource == "SecretKey"
        })
    });
    assert_eq!(reads.count(), 7, "each of seven functions read it again once");

    world.emulator.secrets().lend("SecretKey", full);
    behind.advance(30);
    laptop.refresh().await.expect(200);
    visitor.activate(&activation).await.expect(201);
    person.login_mfa().await.expect(200);
    behind.advance(30);
    person.with_code().verify_reset(&code, NEW_PASSWORD).await.expect(204);
    enrolling.mfa_confirm(&enrolling.new_authenticator().code()).await.expect(200);
}

#[tokio::test]
async fn a_flood_of_made_up_versions_reads_the_secret_twice_a_minute_at_the_most() {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let world = World::new();
    let person = world.signed_in_person().await;
    person.with_copied_tokens().refresh().await.expect(200);
    let mut token = BASE64_URL_SAFE_NO_PAD.decode(person.refresh_token()).unwrap();
    world.calls();
    for version in 2..62 {
        token[1] = version;
        let body = json!({"refresh_token": BASE64_URL_SAFE_NO_PAD.encode(&token)});
        world.post("/auth/refresh", body).await.expect_problem(503, "temporarily-unavailable");
        world.advance(1);
    }
    let reads = world.calls();
    let reads =
        reads.iter().filter(|call| call.permissions.iter().any(|p| p.action == "secretsmanager:GetSecretValue"));
    assert_eq!(reads.count(), 2);
    // Numbers that no key can have, or no longer, are refused as any forged token is.
    for version in [0, 1] {
        token[1] = version;
        token[40] ^= 1;
        let body = json!({"refresh_token": BASE64_URL_SAFE_NO_PAD.encode(&token)});
        world.post("/auth/refresh", body).await.expect_problem(401, "invalid-token");
    }
}

#[tokio::test]
async fn a_leak_ends_codes_and_sessions_and_no_second_factor() {
    let world = World::with(&ACTIVATION);
    let person = world.person_with_factor().await;
    let laptop = person.on_another_device().signed_in().await;
    let enrolling = world.person_with_phone(THIRD_PHONE).await.signed_in().await;
    enrolling.enroll().await;
    let (visitor, activation) = registering(&world, OTHER_PHONE).await;
    world.advance(30);
    let code = person.reset_code().await;
    let answer = leak(&world, 1).await.unwrap();
    assert_eq!(answer, json!({"leaked": [1], "writes": 2}));
    assert_eq!(versions(&world), [(1, true), (2, false)]);

    // The copies of warm functions are at most five minutes old.
    world.advance(300);
    laptop.refresh().await.expect_problem(401, "invalid-token");
    assert_eq!(world.audit_log.all().pop().unwrap()["reason"], "withdrawn-key");
    person.logout_by_refresh_token().await.expect_problem(401, "invalid-token");
    person.with_code().verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    visitor.activate(&activation).await.expect_problem(400, "invalid-otp");
    visitor.resend_activation().await.expect_problem(422, "invalid-request");
    enrolling.mfa_confirm(&enrolling.new_authenticator().code()).await.expect_problem(409, "enrollment-over");

    // The second factor stays, and so do recovery codes.
    person.sign_in().await;
    assert_eq!(sealed_with(&world), 2);
    person.with_recovery_code(0).first_step().await;
    person.with_recovery_code(0).login_mfa().await.expect(200);
    // Everything may be asked for again.
    world.advance(60);
    visitor.register().await.expect(202);
    visitor.activate(&visitor.code()).await.expect(201);
    let code = person.reset_code().await;
    person.with_code().verify_reset(&code, NEW_PASSWORD).await.expect(204);
    enrolling.sign_in().await;
    enrolling.switch_factor_on().await;

    // Twice is once.
    let before = text(&world);
    assert_eq!(leak(&world, 1).await.unwrap(), answer);
    assert!(text(&world) == before);
    leak(&world, 3).await.expect_err("there is no such key");
    world.invoke("rotate-secret", json!({"leaked": 0})).await.expect_err("nor one of this number");
}

#[tokio::test]
async fn a_key_that_was_announced_takes_over_at_once_when_the_one_before_leaks() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.rotate_secret().await.unwrap();
    assert_eq!(leak(&world, 1).await.unwrap(), json!({"leaked": [1], "writes": 2}));
    world.advance(300);
    person.refresh().await.expect_problem(401, "invalid-token");
    person.sign_in().await;
    assert_eq!(named_by(&person.refresh_token()), 2);
}

/// The old key is gone in the end, and everything works.
#[tokio::test]
async fn a_key_is_retired_when_nothing_depends_on_it() {
    let world = World::with(&ACTIVATION);
    let person = world.person_with_factor().await;
    let laptop = person.on_another_device().signed_in().await;
    let code = person.reset_code().await;
    // The code of a reset is stored twice: for its phone and for its challenge.
    assert_eq!(line(&world, 1).await, ["1", "1", "0", "2", "2", "writes"]);
    assert!(retire(&world, 1, Some(1)).await.unwrap_err().contains("still writes"), "it is the only one");
    world.rotate_secret().await.unwrap();
    assert!(retire(&world, 2, None).await.unwrap_err().contains("still writes"), "not yet");
    world.advance(ANNOUNCED);
    assert_eq!(line(&world, 1).await[5..], ["reads"]);
    assert_eq!(line(&world, 2).await, ["2", "0", "0", "0", "0", "writes"]);
    // A function that cannot read the secret may still write with its old copy.
    assert!(retire(&world, 1, Some(1)).await.unwrap_err().contains("still writes"));
    person.verify_reset(&another_code(&code), NEW_PASSWORD).await.expect(400);
    world.advance(STOPPED);

    let refused = retire(&world, 1, None).await.unwrap_err();
    let user = world.item("PHONE#", "CREDENTIAL")["user_id"]["S"].as_str().unwrap().to_owned();
    assert!(refused.contains("1 second factors would be lost; 2 sessions, 0 codes"), "{refused}");
    assert!(refused.contains("--lose 1") && refused.contains(&user), "{refused}");
    assert!(retire(&world, 1, Some(2)).await.is_err(), "another number than is lost");
    // Signing in and going on take everything over to the other key.
    person.sign_in().await;
    laptop.refresh().await.expect(200);
    world.advance(30);
    assert_eq!(line(&world, 1).await[..5], ["1", "0", "0", "1", "0"], "the session that nobody uses any more");
    world.advance(14 * 24 * 3600);
    assert_eq!(line(&world, 1).await[..5], ["1", "0", "0", "0", "0"]);
    assert!(retire(&world, 1, None).await.unwrap().contains("Key 1 is retired"));
    assert_eq!(versions(&world), [(2, false)]);
    assert!(retire(&world, 1, None).await.unwrap_err().contains("there is no key 1"));
    let events = world.items("AUDIT#");
    let told: Vec<_> = events.iter().map(|event| event["audit_line"]["S"].as_str().unwrap()).collect();
    assert!(told.iter().all(|line| line.contains("operator-retire-key")) && told.len() == 2, "begun and done");

    world.advance(300);
    person.sign_in().await;
    person.refresh().await.expect(200);
    world.advance(30);
    let code = person.reset_code().await;
    person.with_code().verify_reset(&code, NEW_PASSWORD).await.expect(204);
    let (visitor, activation) = registering(&world, OTHER_PHONE).await;
    visitor.activate(&activation).await.expect(201);
    // No number is given twice.
    world.rotate_secret().await.unwrap();
    assert_eq!(versions(&world), [(2, false), (3, false)]);
}

/// An operator who retires a key that somebody still needs has said how many lose their factor.
#[tokio::test]
async fn a_second_factor_whose_key_was_retired_opens_nothing_until_an_operator_takes_it_off() {
    let world = World::new();
    let person = world.person_with_factor().await;
    world.rotate_secret().await.unwrap();
    world.advance(ANNOUNCED + STOPPED);
    assert!(retire(&world, 1, Some(1)).await.unwrap().contains("retired"));
    world.advance(300);
    person.refresh().await.expect_problem(401, "invalid-token");
    person.first_step().await;
    person.login_mfa().await.expect_problem(400, "invalid-otp");
    person.with_recovery_code(0).login_mfa().await.expect_problem(400, "invalid-otp");
    act(&world, Action::ResetMfa, PHONE).await.0.unwrap();
    person.sign_in().await;
    person.switch_factor_on().await;
    assert_eq!((sealed_with(&world), recovery_codes_with(&world)), (2, 2));
    person.sign_in().await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_may_fail_at_every_call() {
    let mut failed = 0;
    for operation in CALLS {
        for nth in 0..6 {
            for fault in FAULTS {
                let world = World::new();
                let person = world.signed_in_person().await;
                let faults = world.emulator.faults();
                faults.inject_after(operation, nth, fault, 3);
                let token = begin(&world);
                for name in STEPS {
                    if step(&world, &token, name).await.is_err() {
                        failed += 1;
                        faults.clear();
                        step(&world, &token, name).await.unwrap();
                    }
                }
                let was_used = !faults.is_waiting();
                faults.clear();
                assert_eq!(versions(&world), [(1, false), (2, false)], "{operation} {nth} with {fault:?}");
                world.advance(ANNOUNCED);
                person.refresh().await.expect(200);
                assert_eq!(named_by(&person.refresh_token()), 2, "{operation} {nth} with {fault:?}");
                if !was_used {
                    // A rotation makes no more calls of this operation.
                    break;
                }
            }
        }
    }
    assert!(failed > 20, "{failed} steps failed");
}

#[tokio::test(start_paused = true)]
async fn a_leak_is_recorded_though_every_call_may_fail() {
    for operation in CALLS {
        for nth in 0..3 {
            for fault in FAULTS {
                let world = World::new();
                let person = world.person().await;
                world.emulator.faults().inject_after(operation, nth, fault, 3);
                let _ = leak(&world, 1).await;
                world.emulator.faults().clear();
                // The operator repeats what failed.
                leak(&world, 1).await.unwrap();
                assert_eq!(versions(&world), [(1, true), (2, false)], "{operation} {nth} with {fault:?}");
                world.advance(300);
                person.sign_in().await;
            }
        }
    }
}

#[tokio::test]
async fn each_step_may_be_repeated_and_another_event_is_refused() {
    let world = World::new();
    let token = begin(&world);
    for name in STEPS {
        let (one, other) = tokio::join!(step(&world, &token, name), step(&world, &token, name));
        assert!(one.is_ok() || other.is_ok(), "{name}");
        step(&world, &token, name).await.unwrap();
    }
    for name in STEPS {
        step(&world, &token, name).await.unwrap();
    }
    assert_eq!(versions(&world), [(1, false), (2, false)]);
    for event in [
        json!({}),
        json!({"leaked": true}),
        json!({"leaked": "1"}),
        json!({"leaked": 256}),
        json!({"Step": "deleteSecret", "SecretId": "SecretKey", "ClientRequestToken": "x"}),
        json!({"Step": "createSecret", "SecretId": "SigningKeys", "ClientRequestToken": "x"}),
        json!({"Step": "createSecret", "SecretId": "SecretKey", "ClientRequestToken": "x"}),
    ] {
        world.invoke("rotate-secret", event.clone()).await.expect_err(&event.to_string());
    }
}

/// A rotation that is finished so late that functions would meet the key before they have read it.
#[tokio::test]
async fn a_rotation_that_takes_too_long_is_given_up() {
    let world = World::new();
    let token = begin(&world);
    for name in &STEPS[..3] {
        step(&world, &token, name).await.unwrap();
    }
    world.advance(181);
    step(&world, &token, "finishSecret").await.expect_err("three minutes are what a rotation may take");
    assert!(!text(&world).starts_with('{'), "nothing was changed");
    assert!(begin(&world) != token, "the next rotation is another one");
    world.rotate_secret().await.unwrap();
    assert_eq!(versions(&world), [(1, false), (2, false)]);
}

/// Every pair of changes, each of the second at every turn of the first.
#[tokio::test]
async fn changes_at_the_same_time_lose_no_key_and_no_leak() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Change {
        Rotation,
        Leak,
        Retirement,
    }
    use Change::{Leak, Retirement, Rotation};
    async fn change(world: &World, change: Change, turns: usize) -> Result<(), String> {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        match change {
            Rotation => world.rotate_secret().await,
            Leak => leak(world, 2).await.map(|_| ()),
            Retirement => retire(world, 1, None).await.map(|_| ()),
        }
    }
    let mut tried = 0;
    for one in [Rotation, Leak, Retirement] {
        for other in [Rotation, Leak, Retirement] {
            for turns in (0..24).step_by(3) {
                let world = World::new();
                let person = world.person().await;
                world.rotate_secret().await.unwrap();
                world.advance(ANNOUNCED + STOPPED);
                let (first, second) = tokio::join!(change(&world, one, 0), change(&world, other, turns));
                let what = format!("{one:?} and, after {turns} turns, {other:?}: {first:?}, {second:?}");
                assert!(first.is_ok() || second.is_ok(), "{what}");
                let after = versions(&world);
                let is_in = |kid: u64| after.iter().any(|(known, _)| *known == kid);
                let did = |change| (one == change && first.is_ok()) || (other == change && second.is_ok());
                assert!(is_in(2), "{what}: {after:?}");
                assert!(!did(Leak) || after.contains(&(2, true)), "{what}: {after:?}");
                assert!(!did(Retirement) || !is_in(1), "{what}: {after:?}");
                assert!(!did(Rotation) || is_in(3), "{what}: {after:?}");
                assert!(after.windows(2).all(|pair| pair[0].0 < pair[1].0), "{what}: {after:?}");
                world.advance(300);
                person.sign_in().await;
                person.refresh().await.expect(200);
                // Nothing stays in the way of the next rotation.
                if world.rotate_secret().await.is_err() {
                    world.rotate_secret().await.unwrap();
                }
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 72);
}

/// Nothing of the secret is shown by what an operator runs.
#[tokio::test]
async fn status_tells_what_each_key_does_and_no_key() {
    let world = World::new();
    world.rotate_secret().await.unwrap();
    let shown = status(&world).await;
    let secret: Value = serde_json::from_str(&text(&world)).unwrap();
    for key in secret["keys"].as_array().unwrap() {
        assert!(!shown.contains(key["key"].as_str().unwrap()));
    }
    assert!(shown.contains("writes from 2027-01-15T08:10:00Z"), "{shown}");
    leak(&world, 2).await.unwrap();
    let shown = status(&world).await;
    assert_eq!(shown.matches("leaked: opens second factors and nothing else").count(), 2, "{shown}");
    let mut connection = connection(&world, &[]);
    connection.config.keys.secret_key_arn = None;
    assert!(secret::status(desk(&connection, &world)).await.unwrap_err().to_string().contains("SECRET_KEY_ARN"));
    assert!(world.visitor(PHONE).login().await.status == 401);
}
