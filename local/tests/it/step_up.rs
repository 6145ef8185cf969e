//! `POST /auth/step-up`

use serde_json::{Value, json};

use crate::{
    harness::{OTHER_PHONE, Person, World, another_code},
    jwt_attacks::Parts,
};

fn claims(person: &Person) -> Value {
    Parts::of(&person.access_token()).claims
}

#[tokio::test]
async fn another_proof_renews_the_session_and_leaves_the_others() {
    for by in ["password", "code"] {
        let world = World::new();
        let person = world.signed_in_person().await;
        let laptop = person.on_another_device().signed_in().await;
        let thief = person.with_copied_tokens();
        let before = claims(&person);
        world.advance(700);
        person.refresh().await.expect(200);
        assert_eq!(claims(&person)["auth_time"], before["auth_time"]);
        if by == "password" {
            person.step_up().await.expect(200);
        } else {
            person.ask_code().await.expect(202);
            person.step_up_by_code(&person.code()).await.expect(200);
        }
        let after = claims(&person);
        assert_eq!(after["auth_time"], world.clock.now().unix_seconds());
        assert_eq!(after["amr"], if by == "password" { json!(["pwd"]) } else { json!(["sms"]) });
        assert_eq!((after["sid"] == before["sid"], after["ver"] == before["ver"]), (false, true));
        for _ in 0..2 {
            thief.me().await.expect_problem(401, "invalid-token");
            thief.refresh().await.expect_problem(401, "invalid-token");
        }
        person.me().await.expect(200);
        person.refresh().await.expect(200);
        laptop.refresh().await.expect(200);
        laptop.me().await.expect(200);
        assert_eq!(laptop.sessions().await.expect(200).body["sessions"].as_array().unwrap().len(), 2);
        person.end_session(&person.other_session().await).await.expect(204);
    }
}

#[tokio::test]
async fn a_second_factor_that_is_on_is_asked_for() {
    let world = World::new();
    let person = world.person_with_factor().await;
    world.advance(700);
    person.refresh().await.expect(200);
    person.step_up().await.expect_problem(403, "mfa-required");
    person.ask_code().await.expect(202);
    let code = person.code();
    // The code stays valid, and its try is taken back.
    for _ in 0..7 {
        person.step_up_by_code(&code).await.expect_problem(403, "mfa-required");
    }
    person.with_wrong_code().step_up_by_code(&code).await.expect_problem(400, "invalid-otp");
    person.with_code().step_up_by_code(&code).await.expect(200);
    assert_eq!(claims(&person)["amr"], json!(["sms", "otp", "mfa"]));
    world.advance(30);
    person.with_code().step_up().await.expect(200);
    assert_eq!(claims(&person)["amr"], json!(["pwd", "otp", "mfa"]));

    // The factor alone renews the time, and is no first factor.
    world.advance(700);
    person.refresh().await.expect(200);
    let (member, value) = ("code", person.authenticator().code());
    person.post("/auth/step-up", json!({member: value})).await.expect(200);
    assert_eq!(claims(&person)["auth_time"], world.clock.now().unix_seconds());
    person.post("/auth/step-up", json!({member: value})).await.expect_problem(400, "invalid-otp");
    person.post("/auth/step-up", json!({"recovery_code": person.recovery_codes()[0]})).await.expect(200);
}

/// Whoever has only the session and the authenticator does not change an account without a password.
#[tokio::test]
async fn a_second_factor_alone_does_not_stand_for_the_first() {
    let world = World::new();
    let person = world.person_by_code().await;
    person.switch_factor_on().await;
    world.advance(700);
    person.refresh().await.expect(200);
    person.post("/auth/step-up", json!({"code": person.authenticator().code()})).await.expect(200);
    world.advance(30);
    person.with_code().delete_account().await.expect_problem(403, "reauthentication-required");
    person.ask_code().await.expect(202);
    person.with_code().step_up_by_code(&person.code()).await.expect(200);
    world.advance(30);
    person.with_code().delete_account().await.expect(204);
}

#[tokio::test]
async fn wrong_proofs_and_those_of_others_are_refused_and_counted() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let other = world.person_with_phone(OTHER_PHONE).await;
    for _ in 0..5 {
        person.mistyping().step_up().await.expect_problem(403, "wrong-password");
    }
    person.mistyping().step_up().await.expect_problem(403, "wrong-password");
    person.step_up().await.expect_problem(429, "too-many-requests");
    other.ask_code().await.expect(202);
    let body = json!({"challenge": other.challenge(), "otp": other.code()});
    person.post("/auth/step-up", body).await.expect_problem(400, "invalid-otp");
    other.verify_code(&other.code()).await.expect(200);
    person.ask_code().await.expect(202);
    let code = person.code();
    for _ in 0..5 {
        person.step_up_by_code(&another_code(&code)).await.expect_problem(400, "invalid-otp");
    }
    person.step_up_by_code(&code).await.expect_problem(400, "invalid-otp");
    for (body, pointer) in [
        (json!({}), "/password"),
        (json!({"challenge": "x"}), "/otp"),
        (json!({"otp": "123456"}), "/challenge"),
        (json!({"password": "x", "challenge": "x", "otp": "123456"}), "/challenge"),
    ] {
        let reply = person.post("/auth/step-up", body).await.expect_problem(422, "invalid-request");
        assert_eq!(reply.body["errors"][0]["pointer"], pointer);
    }
    person.me().await.expect(200);
}

#[tokio::test]
async fn a_second_factor_that_the_account_has_not_is_no_wrong_code() {
    let person = World::new().signed_in_person().await;
    for body in [json!({"code": "123456"}), json!({"recovery_code": "9QK2-7H3M-9QK2-7H3M-9QK2-7H3M"})] {
        person.post("/auth/step-up", body).await.expect_problem(409, "mfa-not-enabled");
    }
    person.me().await.expect(200);
}

#[tokio::test]
async fn an_account_without_a_password_is_told_the_other_ways() {
    let person = World::new().person_by_code().await;
    for (path, body) in [
        ("/auth/step-up", json!({"password": "x"})),
        ("/auth/change-password", json!({"old_password": "x", "new_password": "newPass123"})),
        ("/auth/change-phone", json!({"password": "x", "phone": OTHER_PHONE})),
    ] {
        let reply = person.post(path, body).await.expect_problem(403, "wrong-password");
        assert!(reply.text("detail").contains("POST /auth/set-password"), "{path}");
    }
}
