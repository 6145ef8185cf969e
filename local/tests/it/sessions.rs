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
    world.advance(60);
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

    world.advance(60);
    phone.refresh().await.expect(200);
    let sessions = unknown.list().await;
    assert_eq!(sessions[0]["last_used_at"], "2027-01-15T08:02:00Z", "the last used first");
}

#[tokio::test]
async fn only_sessions_that_live_are_shown() {
    let person = World::new().signed_in_person().await;
    let gone = person.on_another_device().signed_in().await;
    gone.logout().await.expect(204);
    person.on_another_device().sign_in().await;
    assert_eq!(person.list().await.len(), 2);
    person.change_password(NEW_PASSWORD).await.expect(204);
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
    person.end_session(&other).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn another_users_session_and_what_is_none_are_not_found() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let other = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    let their_id = other.list().await[0]["id"].as_str().unwrap().to_owned();
    for id in [their_id.as_str(), &their_id.to_uppercase(), "nothing", "PROFILE", "%2e%2e", "..%2fPROFILE"] {
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
