//! `GET /auth/sessions`, `DELETE /auth/sessions/{id}`

use serde_json::{Value, json};

use crate::harness::{NEW_PASSWORD, OTHER_PHONE, Person, World};

impl Person {
    async fn list(&self) -> Vec<Value> {
        let reply = self.sessions().await.expect(200);
        reply.body["sessions"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn the_list_shows_device_address_times_and_which_one_asks() {
    let world = World::new();
    let phone = world.person().await.at("198.51.100.4").signed_in().await;
    world.advance(3000);
    let unknown = phone.on_another_device().with_header("user-agent", "").signed_in().await;

    let sessions = unknown.list().await;
    assert_eq!(sessions.len(), 2);
    assert_eq!((&sessions[0]["current"], &sessions[1]["current"]), (&json!(true), &json!(false)));
    assert_eq!(sessions[0]["device"], "Unknown device");
    assert_eq!(sessions[1]["device"], "Chrome on Android");
    assert_eq!(sessions[1]["address"], "198.51.100.4");
    assert_eq!(sessions[1]["created_at"], "2027-01-15T08:00:00Z");
    let members: Vec<_> = sessions[0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["address", "created_at", "current", "device", "id", "last_used_at"]);

    world.advance(600);
    phone.refresh().await.expect(200);
    let reply = unknown.at("192.0.2.1").sessions().await.expect(200);
    let sessions = reply.body["sessions"].as_array().unwrap();
    assert_eq!(sessions[0]["last_used_at"], "2027-01-15T09:00:00Z", "the last used first");
    assert_eq!(reply.body["limit"], 20);
}

/// A thief of the tokens must not see when the owner has just refreshed: neither a time nor an order tells it.
#[tokio::test]
async fn what_a_session_shows_tells_its_use_by_the_hour_and_no_closer() {
    let world = World::new();
    world.advance(1801);
    let person = world.signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    let thief = person.with_copied_tokens();
    let look = async || {
        let export = thief.export().await.expect(200).body["sessions"].clone();
        (thief.sessions().await.expect(200).body["sessions"].clone(), export)
    };
    let before = look().await;
    assert_eq!(before.0[0]["last_used_at"], "2027-01-15T08:30:01Z", "not before its beginning");
    assert_eq!(before.1[0]["last_used_at"], "2027-01-15T08:30:01Z", "nor in the export");
    for _ in 0..3 {
        world.advance(280);
        for device in [&person, &laptop, &person] {
            device.refresh().await.expect(200);
            assert!(look().await == before, "nothing moves within the hour");
        }
    }
    world.advance(1200);
    thief.refresh().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn only_sessions_that_live_are_shown() {
    let person = World::new().signed_in_person().await;
    let gone = person.on_another_device().signed_in().await;
    gone.logout().await.expect(204);
    person.on_another_device().sign_in().await;
    assert_eq!(person.list().await.len(), 2);
    person.change_password(NEW_PASSWORD).await.expect(200);
    assert_eq!(person.list().await.len(), 1);
    gone.sessions().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn another_session_is_ended_by_its_identifier() {
    let person = World::new().signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    let other = person.other_session().await;
    person.end_session(&other).await.expect(204);
    laptop.me().await.expect_problem(401, "invalid-token");
    laptop.refresh().await.expect_problem(401, "invalid-token");
    person.me().await.expect(200);
    let again = person.end_session(&other).await.expect_problem(404, "not-found");
    assert!(again.text("detail").starts_with("You have no session with this identifier"));
}

#[tokio::test]
async fn another_users_session_and_what_is_none_are_not_found() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let other = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    let their_id = other.list().await[0]["id"].as_str().unwrap().to_owned();
    let unhyphenated = their_id.replace('-', "");
    for id in
        [their_id.as_str(), &their_id.to_uppercase(), &unhyphenated, "nothing", "PROFILE", "%2e%2e", "..%2fPROFILE"]
    {
        person.end_session(id).await.expect_problem(404, "not-found");
    }
    other.me().await.expect(200);
    world.visitor(OTHER_PHONE).end_session("x").await.expect_problem(401, "invalid-token");
}

/// Somebody who asks for codes to many phones must not make each login read them all.
#[tokio::test]
async fn what_is_read_for_a_login_does_not_grow_with_codes_and_second_steps() {
    let world = World::new();
    let person = world.person_with_factor().await;
    person.first_step().await;
    person.with_code().change_phone(OTHER_PHONE).await.expect(202);
    let user = person.me().await.expect(200).text("id").to_owned();
    let sorts: Vec<_> =
        world.items(&format!("USER#{user}")).iter().map(|item| item["sk"]["S"].as_str().unwrap().to_owned()).collect();
    let (before, after): (Vec<_>, Vec<_>) = sorts.iter().partition(|sort| sort.as_str() < "PROFILE");
    assert!(before.len() >= 3, "codes, factor, second step: {before:?}");
    assert!(after.iter().all(|sort| *sort == "PROFILE" || sort.starts_with("SESSION#")), "{after:?}");
}

#[tokio::test]
async fn an_identifier_is_read_in_capitals_as_well() {
    let world = World::new();
    for spell in [str::to_uppercase as fn(&str) -> String, |id: &str| id[..8].to_uppercase() + &id[8..]] {
        let person = world.visitor("01012345678");
        person.register().await;
        person.sign_in().await;
        let laptop = person.on_another_device().signed_in().await;
        person.end_session(&spell(&person.other_session().await)).await.expect(204);
        laptop.me().await.expect_problem(401, "invalid-token");
        person.logout().await.expect(204);
    }
}

#[tokio::test]
async fn the_end_of_another_session_takes_a_recent_login_or_the_password() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    world.advance(601);
    person.refresh().await.expect(200);
    laptop.refresh().await.expect(200);
    let other = person.other_session().await;
    person.end_session(&other).await.expect_problem(403, "reauthentication-required");
    person.mistyping().end_session_with_password(&other).await.expect_problem(403, "wrong-password");
    laptop.me().await.expect(200);
    person.end_session_with_password(&other).await.expect(204);
    laptop.me().await.expect_problem(401, "invalid-token");
    person.end_session_with_password(&other).await.expect_problem(404, "not-found");

    // The own one ends like by a logout.
    let own = person.list().await[0]["id"].as_str().unwrap().to_owned();
    person.end_session(&own).await.expect(204);
    person.me().await.expect_problem(401, "invalid-token");

    // A login is recent for ten minutes, however often its session is refreshed.
    person.sign_in().await;
    laptop.sign_in().await;
    world.advance(600);
    person.refresh().await.expect(200);
    person.end_session(&person.other_session().await).await.expect(204);
}

#[tokio::test]
async fn the_end_of_another_session_takes_the_second_factor_as_well() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let laptop = person.on_another_device().signed_in().await;
    world.advance(601);
    person.refresh().await.expect(200);
    let other = person.other_session().await;
    person.end_session(&other).await.expect_problem(403, "reauthentication-required");
    person.end_session_with_password(&other).await.expect_problem(403, "mfa-required");
    person.with_wrong_code().end_session_with_password(&other).await.expect_problem(400, "invalid-otp");
    person.with_code().end_session_with_password(&other).await.expect(204);
    laptop.refresh().await.expect_problem(401, "invalid-token");
}
