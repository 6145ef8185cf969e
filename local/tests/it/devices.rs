//! Known devices: `device_token` in the responses that start a session and in `POST /auth/login`
//! (docs/adr/0052-known-devices.md).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    LONG, NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, Person, RESET_PASSWORD, Reply, THIRD_PHONE, World,
};

/// Uses up the tries at this phone, as a stranger does who guesses without a pause from many addresses.
async fn attack(world: &World, phone: &str, guesses: usize) {
    let stranger = world.visitor(phone).mistyping();
    for at in 0..guesses {
        let reply = stranger.at(&format!("198.51.{}.{}", at / 250, at % 250)).login().await;
        assert!([401, 429].contains(&reply.status));
    }
    assert_eq!(stranger.login().await.status, 429);
}

/// The items of known devices.
fn items(world: &World) -> Vec<Value> {
    world.items("USER#").into_iter().filter(|item| item["sk"]["S"].as_str().unwrap().starts_with("DEVICE#")).collect()
}

/// How many wrong passwords a device has counted.
fn failures(world: &World) -> u64 {
    items(world).iter().filter_map(|item| item["login_failures"]["N"].as_str()?.parse::<u64>().ok()).sum()
}

/// Checks that a token is taken for none: while strangers hold the phone's throttle shut, it waits with them.
async fn expect_unknown(person: &Person, token: &str) {
    person.login_with(token).await.expect_limit("login-phone");
}

#[tokio::test]
async fn a_stranger_who_guesses_without_pause_keeps_a_known_device_waiting_for_no_time() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.logout().await.expect(204);
    attack(&world, PHONE, 200).await;
    // A device that nobody knows waits; the known one does not.
    person.login().await.expect_limit("login-phone");
    for _ in 0..5 {
        person.login_as_known().await.expect(200);
        person.me().await.expect(200);
        // The phone's count is the strangers': the owner's success gives them no more tries.
        world.visitor(PHONE).mistyping().login().await.expect_limit("login-phone");
    }
    world.advance(179 * 86_400);
    attack(&world, PHONE, 20).await;
    person.login_as_known().await.expect(200);
}

#[tokio::test]
async fn with_a_second_factor_it_does_so_too() {
    let world = World::new();
    let person = world.person_with_factor().await;
    person.mistyping().login_as_known().await.expect_problem(401, "invalid-credentials");
    attack(&world, PHONE, 50).await;
    for _ in 0..9 {
        person.login_as_known().await.expect_problem(403, "mfa-required");
    }
    assert_eq!(failures(&world), 0, "a right password clears the count, whatever the second step brings");
    person.login_mfa().await.expect(200);
    world.advance(30);
    person.login_as_known().await.expect_problem(403, "mfa-required");
    person.login_mfa().await.expect(200);
}

#[tokio::test]
async fn its_own_wrong_passwords_are_throttled_like_those_of_a_phone() {
    let world = World::new();
    let person = world.signed_in_person().await;
    for _ in 0..6 {
        person.mistyping().login_as_known().await.expect_problem(401, "invalid-credentials");
    }
    for wait in [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
        assert_eq!(person.login_as_known().await.expect_limit("login-device"), wait);
        world.advance(wait - 1);
        assert_eq!(person.login_as_known().await.expect_limit("login-device"), 1);
        world.advance(1);
        person.mistyping().login_as_known().await.expect_problem(401, "invalid-credentials");
    }
    // Nobody else waits for this device.
    let elsewhere = person.on_another_device().signed_in().await;
    elsewhere.mistyping().login_as_known().await.expect_problem(401, "invalid-credentials");
    person.login_as_known().await.expect_limit("login-device");
    world.advance(900);
    let old = person.device_token();
    person.login_as_known().await.expect(200);
    assert_eq!(failures(&world), 1, "a right one clears the device's own count, and no other");
    assert!(person.device_token() != old);
}

#[tokio::test]
async fn after_a_hundred_failures_one_more_is_compared_a_day() {
    let world = World::new();
    let person = world.signed_in_person().await;
    for _ in 0..100 {
        person.mistyping().login_as_known().await.expect_problem(401, "invalid-credentials");
        world.advance(900);
    }
    for _ in 0..40 {
        world.advance(86_400);
        world.collect_garbage();
        person.mistyping().login_as_known().await.expect_problem(401, "invalid-credentials");
        assert_eq!(person.login_as_known().await.expect_limit("login-device"), 86_400, "it lasts as long as the token");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_40_wrong_passwords_at_once_six_are_compared() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let guess = |at: usize| {
        let guesser = person.mistyping().at(&format!("198.51.100.{at}"));
        tokio::spawn(async move { guesser.login_as_known().await })
    };
    let replies: Vec<Reply> = join_all((0..40).map(guess)).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(replies.iter().filter(|reply| reply.status == 401).count(), 6);
    assert_eq!(replies.iter().filter(|reply| reply.body["bucket"] == "login-device").count(), 34);
    assert_eq!(failures(&world), 6);
    world.visitor(PHONE).login().await.expect(200);
}

#[tokio::test]
async fn every_response_that_starts_a_session_has_a_token() {
    let world = World::new();
    let person = world.person().await;
    let reply = person.login().await.expect(200);
    let token = reply.text("device_token").to_owned();
    assert_eq!(token.len(), 104);
    assert!(person.refresh().await.expect(200).body.get("device_token").is_none(), "a refresh starts none");
    person.step_up().await.expect(200).text("device_token");
    person.change_password(NEW_PASSWORD).await.expect(200).text("device_token");
    person.switch_factor_on().await;
    person.first_step().await;
    person.login_mfa().await.expect(200).text("device_token");
    let code = person.reset_code().await;
    let body = json!({"phone": PHONE, "otp": code, "new_password": RESET_PASSWORD, "sign_in": true});
    let other = world.person_with_phone(OTHER_PHONE).await;
    assert_eq!(world.post("/auth/verify-reset", body).await.code(), "mfa-required");
    let code = other.reset_code().await;
    let body = json!({"phone": OTHER_PHONE, "otp": code, "new_password": RESET_PASSWORD, "sign_in": true});
    world.post("/auth/verify-reset", body.clone()).await.expect(200).text("device_token");
    world.post("/auth/verify-reset", body).await.expect(200).text("device_token");

    let newcomer = world.visitor(THIRD_PHONE).without_password();
    newcomer.ask_code().await.expect(202);
    let code = newcomer.code();
    newcomer.verify_code(&code).await.expect(200).text("device_token");
    // A client whose response was lost misses nothing.
    newcomer.verify_code(&code).await.expect(200).text("device_token");
    newcomer.comes_back_late().await;
    newcomer.start_anew().await.expect(200).text("device_token");
}

#[tokio::test]
async fn a_token_of_a_sign_in_by_code_makes_the_device_known() {
    let world = World::new();
    let person = world.visitor(PHONE).without_password();
    person.sign_in_by_code().await;
    person.set_password(PASSWORD).await.expect(200);
    attack(&world, PHONE, 20).await;
    person.login_as_known().await.expect(200);
}

#[tokio::test]
async fn whatever_ends_every_session_ends_every_token() {
    for what in ["logout-all", "change-password", "verify-reset", "mfa-confirm", "change-phone", "me-delete"] {
        let world = World::new();
        let person = world.signed_in_person().await;
        person.verify_own_phone().await;
        world.advance(2);
        let lost = person.on_another_device().signed_in().await;
        let mut phone = PHONE;
        match what {
            "logout-all" => drop(person.logout_all().await.expect(204)),
            "change-password" => drop(person.change_password(NEW_PASSWORD).await.expect(200)),
            "verify-reset" => person.reset_password(RESET_PASSWORD).await,
            "mfa-confirm" => person.switch_factor_on().await,
            "change-phone" => {
                person.move_to(OTHER_PHONE).await;
                phone = OTHER_PHONE;
            }
            _ => drop(person.delete_account().await.expect(204)),
        }
        attack(&world, phone, 10).await;
        expect_unknown(&lost, &lost.device_token()).await;
        // The session that a change goes on with has a token of the new epoch.
        if ["change-password", "mfa-confirm", "change-phone"].contains(&what) {
            assert!([200, 403].contains(&person.login_as_known().await.status), "{what}");
        }
    }
}

#[tokio::test]
async fn a_text_that_is_no_token_of_ours_counts_as_none() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let token = person.device_token();
    let mut forged = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let mut unknown_key = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
    unknown_key[1] = 200;
    let mut texts =
        vec![String::new(), "x".repeat(5000), format!("{token}A"), format!("{token}="), person.refresh_token()];
    texts.extend([forged, unknown_key].map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes)));
    person.ask_code().await.expect(202);
    texts.push(person.challenge());
    for text in &texts {
        person.login_with(text).await.expect(200);
    }
    assert!(items(&world).is_empty());
    attack(&world, PHONE, 10).await;
    for text in &texts {
        expect_unknown(&person, text).await;
    }
    for wrong in [json!(1), json!(true), json!([token]), json!({})] {
        let body = json!({"phone": PHONE, "password": PASSWORD, "device_token": wrong});
        world.post("/auth/login", body).await.expect_fields(&["/device_token"]);
    }
    let body = json!({"phone": PHONE, "password": PASSWORD, "device_token": null});
    world.post("/auth/login", body).await.expect_limit("login-phone");
    person.login_with(&token).await.expect(200);
}

#[tokio::test]
async fn a_token_counts_for_180_days() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let token = person.device_token();
    world.advance(180 * 86_400 - 1);
    attack(&world, PHONE, 10).await;
    person.login_with(&token).await.expect(200);
    world.advance(1);
    expect_unknown(&person, &token).await;
}

#[tokio::test]
async fn a_token_of_another_user_opens_no_count_at_this_phone() {
    let world = World::new();
    let person = world.person().await;
    let other = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    attack(&world, PHONE, 10).await;
    for _ in 0..20 {
        let thief = person.mistyping();
        thief.login_with(&other.device_token()).await.expect_limit("login-phone");
    }
    // What was not compared with the other's password is not counted for the other's device.
    assert_eq!(failures(&world), 0);
    other.mistyping().login_as_known().await.expect_problem(401, "invalid-credentials");
    assert_eq!(failures(&world), 1);
}

#[tokio::test]
async fn a_foreign_token_tells_nothing_of_a_phone() {
    let world = World::new().warm().await;
    let foreign = world.person_with_phone(THIRD_PHONE).await.signed_in().await.device_token();
    let people = [world.person().await.mistyping(), world.visitor(OTHER_PHONE).mistyping()];
    for _ in 0..8 {
        let (mut work, mut replies) = (Vec::new(), Vec::new());
        for guesser in &people {
            world.calls();
            let hashes = world.hashes();
            let reply = guesser.login_with(&foreign).await;
            work.push((world.permissions_used(), world.hashes() - hashes));
            replies.push(reply.fingerprint());
        }
        assert!(work[0] == work[1] && replies[0] == replies[1]);
    }
    assert_eq!(people[0].login_with(&foreign).await.expect_limit("login-phone"), 2);
}

/// A neighbor behind the same carrier's address uses up its tries, and a known device does not wait for that either.
#[tokio::test]
async fn an_address_over_its_limit_keeps_no_known_device_waiting() {
    for has_factor in [false, true] {
        let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "3")]);
        let person = if has_factor { world.person_with_factor().await } else { world.signed_in_person().await };
        let neighbor = async |at: usize| world.visitor(&format!("0101234560{at}")).mistyping().login().await;
        for at in 0..3 {
            neighbor(at).await.expect_problem(401, "invalid-credentials");
        }
        person.login().await.expect_limit("login-address");
        for _ in 0..4 {
            person.mistyping().login_as_known().await.expect_problem(401, "invalid-credentials");
        }
        assert_eq!(failures(&world), 4);
        assert!([200, 403].contains(&person.login_as_known().await.status));
        // What was not counted for the address is not given back to it.
        neighbor(4).await.expect_limit("login-address");
        // A token that counts as none is counted as everybody is, and uses up no try of its device.
        let stolen = world.visitor("01012345605").mistyping();
        stolen.login_with(&person.device_token()).await.expect_limit("login-address");
        assert_eq!(failures(&world), 0);
    }
}

/// Uses up what strangers who know this phone can: its messages, and its requests, for a sign-in and for a reset.
async fn use_up_messages(world: &World, phone: &str) {
    for at in 0..60 {
        let stranger = world.visitor(phone).at(&format!("198.51.100.{at}"));
        stranger.ask_code().await.expect(202);
        stranger.request_reset().await.expect(202);
        world.advance(1);
    }
}

/// A verified phone with a device that has signed in.
async fn known_and_verified(world: &World) -> Person {
    let person = world.signed_in_person().await;
    person.verify_own_phone().await;
    world.advance(2);
    person
}

/// The number of messages to this phone.
fn messages_to(world: &World, phone: &str) -> usize {
    let phone = phone.trim_start_matches('0');
    world.outbox.messages().iter().filter(|message| message.to.as_e164().ends_with(phone)).count()
}

#[tokio::test]
async fn a_stranger_who_uses_up_the_messages_of_a_phone_keeps_no_code_from_a_known_device() {
    let world = World::new();
    let person = known_and_verified(&world).await;
    let token = person.device_token();
    use_up_messages(&world, PHONE).await;
    let before = messages_to(&world, PHONE);
    let elsewhere = person.on_another_device();
    elsewhere.ask_code().await.expect(202);
    elsewhere.request_reset().await.expect(202);
    assert_eq!(messages_to(&world, PHONE), before, "nobody knows this device");

    person.ask_code_with(&token).await.expect(202);
    person.verify_code(&person.code()).await.expect(200);
    person.ask_code_with(&token).await.expect_limit("messages-cooldown");
    world.advance(1);
    person.ask_code_with(&token).await.expect(202);
    world.advance(1);
    person.resend_code_with(&token).await.expect(202);
    person.verify_code(&person.code()).await.expect(200);
    world.advance(1);
    person.request_reset_with(&token).await.expect(202);
    assert_eq!(messages_to(&world, PHONE), before + 4);
    person.verify_reset_by_challenge(&person.code(), RESET_PASSWORD).await.expect(204);
    person.sign_in().await;
}

/// Requests of strangers in the same second do not keep it waiting, nor its requests a stranger.
#[tokio::test]
async fn a_known_device_has_a_cooldown_of_its_own() {
    let world = World::new();
    let person = known_and_verified(&world).await;
    let (token, stranger) = (person.device_token(), world.visitor(PHONE).at("198.51.100.1"));
    stranger.ask_code().await.expect(202);
    stranger.request_reset().await.expect(202);
    stranger.ask_code().await.expect_limit("messages-cooldown");
    person.ask_code_with(&token).await.expect(202);
    person.ask_code_with(&token).await.expect_limit("messages-cooldown");
    // As for a phone, one for each purpose.
    person.request_reset_with(&token).await.expect(202);
    person.request_reset_with(&token).await.expect_limit("messages-cooldown");
    world.advance(1);
    person.request_reset_with(&token).await.expect(202);
    person.ask_code_with(&token).await.expect(202);
    stranger.request_reset().await.expect(202);
}

#[tokio::test]
async fn the_known_devices_of_a_phone_share_its_ten_messages_a_day() {
    let world = World::new();
    let person = known_and_verified(&world).await;
    let laptop = person.on_another_device().signed_in().await;
    let (tokens, before) = ([person.device_token(), laptop.device_token()], messages_to(&world, PHONE));
    let mut told = Vec::new();
    for at in 0..14 {
        told.push(person.ask_code_with(&tokens[at % 2]).await.expect(202).fingerprint());
        world.advance(1);
    }
    assert!(told.iter().all(|reply| *reply == told[0]), "the response does not tell");
    assert_eq!(messages_to(&world, PHONE), before + 10);
    // The phone's own are as they were, and so are those of a reset.
    world.visitor(PHONE).ask_code().await.expect(202);
    person.request_reset_with(&tokens[0]).await.expect(202);
    assert_eq!(messages_to(&world, PHONE), before + 12);
    world.advance(86_400);
    person.ask_code_with(&tokens[1]).await.expect(202);
    assert_eq!(messages_to(&world, PHONE), before + 13);
}

/// Each code has five tries, so twenty codes have a hundred, however many messages are allowed.
#[tokio::test]
async fn the_codes_of_known_devices_have_a_hundred_tries_a_day() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000")]);
    let person = known_and_verified(&world).await;
    let (token, before) = (person.device_token(), messages_to(&world, PHONE));
    for _ in 0..15 {
        person.ask_code_with(&token).await.expect(202);
        world.advance(1);
    }
    // A right code is no reason for more: who holds the token may be a thief, and the code its owner's.
    person.verify_code(&person.code()).await.expect(200);
    for _ in 0..15 {
        person.ask_code_with(&token).await.expect(202);
        world.advance(1);
    }
    assert_eq!(messages_to(&world, PHONE), before + 20);
}

/// The code of a known device lies under its challenge alone, so a stranger who names the phone cannot try it.
#[tokio::test]
async fn a_reset_that_a_known_device_asks_for_opens_with_its_challenge_alone() {
    let world = World::new();
    let person = known_and_verified(&world).await;
    person.request_reset_with(&person.device_token()).await.expect(202);
    let code = person.code();
    let stranger = world.visitor(PHONE).at("198.51.100.1");
    stranger.verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    for _ in 0..10 {
        stranger.verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset_by_challenge(&code, RESET_PASSWORD).await.expect(204);
    person.sign_in().await;
}

#[tokio::test]
async fn what_is_no_token_of_the_account_asks_for_a_code_as_everybody_does() {
    let world = World::new();
    let person = known_and_verified(&world).await;
    let lost = person.on_another_device().signed_in().await;
    let other = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    person.end_session(&person.other_session().await).await.expect(204);
    let old = person.device_token();
    person.change_password(NEW_PASSWORD).await.expect(200);
    use_up_messages(&world, PHONE).await;
    let before = messages_to(&world, PHONE);
    for token in [lost.device_token(), other.device_token(), old, String::new(), person.refresh_token()] {
        person.ask_code_with(&token).await.expect(202);
        person.request_reset_with(&token).await.expect(202);
        world.advance(1);
        person.resend_code_with(&token).await.expect(202);
        world.advance(1);
    }
    assert_eq!(messages_to(&world, PHONE), before);
    assert!(items(&world).iter().all(|item| item["resend_at"].is_null()));
    for path in ["/auth/code", "/auth/request-reset"] {
        let body = json!({"phone": PHONE, "device_token": 1});
        world.post(path, body).await.expect_fields(&["/device_token"]);
    }
}

/// Messages to a phone that was never verified are paid for by the budgets of all, whoever asks.
#[tokio::test]
async fn a_device_of_a_phone_that_was_never_verified_has_no_messages_of_its_own() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_COUNTRY", "1")]);
    let person = world.signed_in_person().await;
    world.visitor(OTHER_PHONE).ask_code().await.expect(202);
    let before = world.outbox.messages_after(0).1;
    person.ask_code_with(&person.device_token()).await.expect(202);
    person.request_reset_with(&person.device_token()).await.expect(202);
    assert!(world.outbox.messages_after(0).1 <= before + 1, "the budget of a reset is another one");
    world.advance(1);
    person.request_reset_with(&person.device_token()).await.expect(202);
    assert!(world.outbox.messages_after(0).1 <= before + 1);
}

#[tokio::test]
async fn a_foreign_token_tells_nothing_of_a_phone_at_a_request_for_a_code() {
    let world = World::new().warm().await;
    let foreign = world.person_with_phone(THIRD_PHONE).await.signed_in().await.device_token();
    let people = [world.person().await, world.visitor(OTHER_PHONE)];
    for by_code in [true, false] {
        let (mut work, mut replies) = (Vec::new(), Vec::new());
        for asker in &people {
            world.calls();
            let reply =
                if by_code { asker.ask_code_with(&foreign).await } else { asker.request_reset_with(&foreign).await };
            let mut permissions = world.permissions_used();
            for step in &mut permissions {
                step.retain(|permission| permission.action != "dynamodb:ConditionCheckItem");
            }
            work.push(permissions);
            replies.push(reply.expect(202).fingerprint());
        }
        assert!(work[0] == work[1] && replies[0] == replies[1]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_requests_of_a_known_device_at_once_one_sends_a_code() {
    for by_code in [true, false] {
        let world = World::new();
        let person = known_and_verified(&world).await;
        let (token, before) = (person.device_token(), messages_to(&world, PHONE));
        let asked = (0..32).map(|_| {
            let (asker, token) = (person.on_another_device(), token.clone());
            tokio::spawn(async move {
                let reply =
                    if by_code { asker.ask_code_with(&token).await } else { asker.request_reset_with(&token).await };
                reply.status
            })
        });
        let told: Vec<u16> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(told.iter().filter(|status| **status == 202).count(), 1);
        assert!(told.iter().all(|status| [202, 429, 503].contains(status)));
        assert_eq!(messages_to(&world, PHONE), before + 1);
    }
}

#[tokio::test]
async fn logging_out_keeps_a_device_known_and_ending_its_session_from_another_forgets_it() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let lost = person.on_another_device().signed_in().await;
    for _ in 0..3 {
        lost.mistyping().login_as_known().await.expect_problem(401, "invalid-credentials");
    }
    person.end_session(&person.other_session().await).await.expect(204);
    lost.me().await.expect_problem(401, "invalid-token");
    attack(&world, PHONE, 20).await;
    expect_unknown(&lost, &lost.device_token()).await;
    expect_unknown(&lost.mistyping(), &lost.device_token()).await;
    // The mark outlives the token.
    world.advance(179 * 86_400);
    world.collect_garbage();
    attack(&world, PHONE, 20).await;
    expect_unknown(&lost, &lost.device_token()).await;
    // One's own session, by either way, leaves the device known.
    for by_identifier in [false, true] {
        person.login_as_known().await.expect(200);
        if by_identifier {
            let shown = person.sessions().await.expect(200).body;
            let own = shown["sessions"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
            person.end_session(own["id"].as_str().unwrap()).await.expect(204);
        } else {
            person.logout().await.expect(204);
        }
    }
    person.login_as_known().await.expect(200);
}

#[tokio::test]
async fn the_owner_is_told_of_devices_and_nothing_of_them_outlives_the_account() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let lost = person.on_another_device().signed_in().await;
    let other = person.other_session().await;
    person.mistyping().login_as_known().await.expect_problem(401, "invalid-credentials");
    lost.mistyping().login_as_known().await.expect_problem(401, "invalid-credentials");
    person.end_session(&other).await.expect(204);
    let export = person.export().await.expect(200).body;
    let devices = export["known_devices"].as_array().unwrap();
    assert_eq!(devices.len(), 2);
    for device in devices {
        let is_lost = device["id"] == other.as_str();
        assert_eq!(device["forgotten_at"].is_string(), is_lost);
        assert_eq!(device["sign_in_attempts"]["failures"], u64::from(!is_lost));
    }
    person.delete_account().await.expect(204);
    assert!(items(&world).is_empty());
}

#[tokio::test]
async fn a_token_of_a_rotated_key_counts_until_the_key_is_gone() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.rotate_secret().await.unwrap();
    world.advance(600);
    attack(&world, PHONE, 10).await;
    person.login_as_known().await.expect(200);
}

#[tokio::test]
async fn half_a_year_without_a_proof_of_the_phone_changes_nothing_of_it() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.advance(LONG);
    person.login_as_known().await.expect(200);
    attack(&world, PHONE, 10).await;
    person.login_as_known().await.expect(200);
}
