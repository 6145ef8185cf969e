//! `DELETE /auth/me`

use http::Method;
use serde_json::json;

use crate::harness::{E164, NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, Request, THIRD_PHONE, World};

#[tokio::test]
async fn nothing_of_the_account_is_left_but_a_tombstone_without_personal_data() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    // An account with everything that one can have: a phone that it left, with a code that waits there, and one that it
    // wants to have.
    let person = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    person.reset_code().await;
    person.move_to(PHONE).await;
    person.sign_in().await;
    person.switch_factor_on().await;
    person.first_step().await;
    person.with_code().mfa_enroll().await.expect(200);
    person.reset_code().await;
    world.advance(30);
    person.with_code().change_phone(THIRD_PHONE).await.expect(202);
    person.with_recovery_code(0).delete_account().await.expect(204);

    // What waited under the phone that it left for a code is gone when that has expired. Of that phone there is a ghost, as
    // of any: a throttle and an end.
    assert!(world.items("PHONE#+201012345678").is_empty(), "nothing waits under its own");
    world.advance(601);
    world.collect_garbage();
    for item in world.items("PHONE#") {
        let names: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        assert!(item["pk"]["S"] == "PHONE#+201112345678" && item["user_id"].is_null(), "{names:?}");
    }
    let left = world.items("USER#");
    assert_eq!(left.len(), 1);
    let mut names: Vec<_> = left[0].as_object().unwrap().keys().collect();
    names.sort_unstable();
    assert_eq!(names, ["deleted_at", "epoch", "expires_at", "pk", "sk"]);
    // The counts of today's messages stay, so that a new account does not get them anew, and name nobody.
    assert!(!world.items("LIMIT#messages-phone#").is_empty());
    for personal in [E164, "203.0.113.7"] {
        assert!(world.items("").iter().all(|item| !item.to_string().contains(personal)), "nor does anything else");
    }
    // The tombstone outlives the longest session, and then goes.
    world.advance(30 * 86_400);
    world.collect_garbage();
    assert_eq!(world.items("USER#").len(), 1);
    world.advance(86_400);
    world.collect_garbage();
    assert!(world.items("USER#").is_empty());
}

/// The codes that made the account and signed in to it were used, and name its phone.
#[tokio::test]
async fn nothing_of_the_codes_that_were_used_is_left() {
    for by_code in [false, true] {
        let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
        let person = if by_code { world.person_by_code().await } else { world.signed_in_person().await };
        person.on_another_device().sign_in_by_code().await;
        person.on_another_device().ask_code().await.expect(202);
        person.delete_account().await.expect(204);
        assert!(world.items("PHONE#").is_empty());
        assert!(world.items("").iter().all(|item| !item.to_string().contains(E164)));
    }
}

#[tokio::test]
async fn everything_that_opened_the_account_is_dead_at_once() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    let code = person.reset_code().await;
    person.delete_account().await.expect(204);

    for device in [&person, &laptop] {
        device.me().await.expect_problem(401, "invalid-token");
        device.export().await.expect_problem(401, "invalid-token");
        device.sessions().await.expect_problem(401, "invalid-token");
        device.change_password(NEW_PASSWORD).await.expect_problem(401, "invalid-token");
        device.refresh().await.expect_problem(401, "invalid-token");
    }
    person.verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    let gone = person.login().await.expect_problem(401, "invalid-credentials");
    // As a phone that never had an account.
    assert!(gone.fingerprint() == world.visitor(OTHER_PHONE).login().await.fingerprint());
}

#[tokio::test]
async fn the_phone_registers_anew_and_is_somebody_else() {
    let world = World::new();
    let first = world.signed_in_person().await;
    let first_id = first.me().await.expect(200).text("id").to_owned();
    first.delete_account().await.expect(204);
    let second = world.visitor(PHONE).typing(NEW_PASSWORD);
    let second_id = second.register().await.expect(201).text("id").to_owned();
    assert_ne!(first_id, second_id);
    first.login().await.expect_problem(401, "invalid-credentials");
    second.sign_in().await;
    let me = second.me().await.expect(200);
    assert_eq!((me.text("id"), &me.body["phone_verified"]), (second_id.as_str(), &json!(false)));
    first.me().await.expect_problem(401, "invalid-token");
}

/// The answer may have been lost, and is asked for again: that is no error.
#[tokio::test]
async fn the_same_request_again_is_a_success_and_touches_no_new_account() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.delete_account().await.expect(204);
    let next = world.person().await;
    person.delete_account().await.expect(204);
    next.login().await.expect(200);
    world.advance(900);
    person.delete_account().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_token_alone_deletes_nothing() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.mistyping().delete_account().await.expect_problem(403, "wrong-password");
    let request = |body| Request::post("/auth/me", body).method(Method::DELETE);
    person.send(request(json!({}))).await.expect_fields(&["/password"]);
    world.send(request(json!({"password": PASSWORD}))).await.expect_problem(401, "invalid-token");
    // Wrong passwords count like wrong logins.
    for _ in 0..5 {
        person.mistyping().delete_account().await.expect_problem(403, "wrong-password");
    }
    person.delete_account().await.expect_problem(429, "too-many-requests");
    person.me().await.expect(200);
}

#[tokio::test]
async fn where_a_second_factor_is_on_it_is_asked_for() {
    let person = World::new().person_with_factor().await;
    person.delete_account().await.expect_problem(403, "mfa-required");
    person.with_wrong_code().delete_account().await.expect_problem(400, "invalid-otp");
    person.me().await.expect(200);
    person.with_code().delete_account().await.expect(204);
}

#[tokio::test]
async fn other_accounts_are_not_touched() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let other = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    // A code by which somebody else would get this number.
    let code = other.code_for(THIRD_PHONE).await;
    person.delete_account().await.expect(204);
    other.me().await.expect(200);
    other.change_phone_verify(&code).await.expect(200);
}

/// The same by POST, for clients that send no body with DELETE.
#[tokio::test]
async fn post_deletes_as_delete_does() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let empty = person.send(Request::new(Method::DELETE, "/auth/me")).await;
    empty.expect_problem(400, "malformed-request");
    let wrong = person.post("/auth/me/delete", json!({"password": "wrong password"})).await;
    wrong.expect_problem(403, "wrong-password");
    person.me().await.expect(200);
    for _ in 0..2 {
        person.post("/auth/me/delete", json!({"password": PASSWORD})).await.expect(204);
    }
    person.me().await.expect_problem(401, "invalid-token");
    world.person().await.login().await.expect(200);
}
