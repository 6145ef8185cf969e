//! Another proof within a session: the change of password and of phone, and every change of the second factor. Each ends
//! every session, and gives the caller the tokens of a new one (docs/threats.md#s11).

use serde_json::json;

use crate::{
    harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, Person, RESET_PASSWORD, Reply, World},
    jwt_attacks::Parts,
};

/// Every endpoint that asks for another proof and changes how the account is opened.
const STEP_UPS: [&str; 5] =
    ["change-password", "change-phone-verify", "mfa-confirm", "mfa-disable", "mfa-recovery-codes"];

/// Returns somebody who is about to take this step.
async fn before(endpoint: &str) -> (World, Person) {
    let world = World::new();
    let person = match endpoint {
        "mfa-disable" | "mfa-recovery-codes" => world.person_with_factor().await,
        _ => world.signed_in_person().await,
    };
    match endpoint {
        "mfa-confirm" => {
            person.enroll().await;
        }
        "change-phone-verify" => {
            person.change_phone(OTHER_PHONE).await.expect(202);
        }
        _ => {}
    }
    world.advance(60);
    (world, person)
}

/// Takes the step.
async fn step(endpoint: &str, person: &Person) -> Reply {
    match endpoint {
        "change-password" => person.change_password(NEW_PASSWORD).await,
        "change-phone-verify" => person.change_phone_verify(&person.code()).await,
        "mfa-confirm" => person.mfa_confirm(&person.new_authenticator().code()).await,
        "mfa-disable" => person.with_code().mfa_disable().await,
        "mfa-recovery-codes" => person.with_code().mfa_recovery_codes().await,
        _ => panic!("{endpoint} is no step-up"),
    }
}

#[tokio::test]
async fn a_stolen_pair_does_not_survive_and_the_owner_gets_another() {
    for endpoint in STEP_UPS {
        let (world, person) = before(endpoint).await;
        let laptop = person.on_another_device();
        laptop.sign_in().await;
        let thief = person.with_copied_tokens();
        let sid = Parts::of(&person.access_token()).claims["sid"].clone();
        world.advance(30);

        let reply = step(endpoint, &person).await.expect(200);
        assert_eq!((reply.text("token_type"), &reply.body["expires_in"]), ("bearer", &json!(900)), "{endpoint}");
        for device in [&thief, &laptop] {
            device.me().await.expect_problem(401, "invalid-token");
            device.refresh().await.expect_problem(401, "invalid-token");
        }
        person.me().await.expect(200);
        assert!(Parts::of(&person.access_token()).claims["sid"] != sid, "{endpoint}: a new session");
        person.refresh().await.expect(200);
        person.me().await.expect(200);
        let sessions = person.sessions().await.expect(200);
        assert_eq!(sessions.body["sessions"].as_array().unwrap().len(), 1, "{endpoint}");
        assert_eq!(sessions.body["sessions"][0]["current"], true, "{endpoint}");
    }
}

#[tokio::test]
async fn a_step_up_makes_no_session_live_longer_and_says_when_and_how_its_user_signed_in() {
    for (endpoint, proves_password, amr) in [
        ("change-password", true, json!(["pwd"])),
        ("change-phone-verify", false, json!(["pwd"])),
        ("mfa-confirm", false, json!(["pwd", "otp", "mfa"])),
        ("mfa-disable", true, json!(["pwd", "otp", "mfa"])),
        ("mfa-recovery-codes", true, json!(["pwd", "otp", "mfa"])),
    ] {
        let (world, person) = before(endpoint).await;
        let user = person.me().await.expect(200).text("id").to_owned();
        let live = |world: &World| {
            let mut sessions = world.sessions();
            let epoch = world.item(&format!("USER#{user}"), "PROFILE")["epoch"].clone();
            sessions.retain(|item| item["epoch"] == epoch);
            assert_eq!(sessions.len(), 1, "{endpoint}");
            sessions.remove(0)
        };
        let old = live(&world);
        let signed_in_at = Parts::of(&person.access_token()).claims["auth_time"].as_u64().unwrap();
        step(endpoint, &person).await.expect(200);
        let new = live(&world);
        assert!(old["sk"] != new["sk"] && old["salt"] != new["salt"], "{endpoint}");
        for member in ["created_at", "ends_at"] {
            assert_eq!(old[member], new[member], "{endpoint}: {member}");
        }
        let claims = Parts::of(&person.access_token()).claims;
        let now = world.clock.now().unix_seconds();
        assert_eq!(claims["auth_time"], if proves_password { now } else { signed_in_at }, "{endpoint}");
        assert_eq!(
            (&claims["amr"], &claims["ver"]),
            (&amr, &json!(new["epoch"]["N"].as_str().unwrap().parse::<u64>().unwrap()))
        );
        let auth_time = claims["auth_time"].clone();
        person.refresh().await.expect(200);
        assert_eq!(
            Parts::of(&person.access_token()).claims["auth_time"],
            auth_time,
            "{endpoint}: a refresh changes nothing"
        );
    }
}

#[tokio::test]
async fn a_session_that_was_ended_meanwhile_gets_no_successor() {
    for endpoint in STEP_UPS {
        let (_, person) = before(endpoint).await;
        let code = (endpoint == "change-phone-verify").then(|| person.code());
        person.logout().await.expect(204);
        match code {
            Some(code) => person.change_phone_verify(&code).await,
            None => step(endpoint, &person).await,
        }
        .expect_problem(401, "invalid-token");
        person.typing(PASSWORD).login().await;
    }
}

/// The documented requests of the origin have no `tokens`, and its answer has no body: such a client signs in again.
#[tokio::test]
async fn a_client_of_the_origin_signs_in_again_after_a_change_of_password() {
    for tokens in [json!(null), json!(false)] {
        let person = World::new().signed_in_person().await;
        let laptop = person.on_another_device().signed_in().await;
        let mut body = json!({"old_password": PASSWORD, "new_password": NEW_PASSWORD, "tokens": tokens});
        if tokens.is_null() {
            body.as_object_mut().unwrap().remove("tokens");
        }
        let reply = person.post("/auth/change-password", body).await.expect(204);
        assert!(reply.bytes.is_empty());
        for device in [&person, &laptop] {
            device.me().await.expect_problem(401, "invalid-token");
            device.refresh().await.expect_problem(401, "invalid-token");
        }
        let person = person.typing(NEW_PASSWORD);
        person.sign_in().await;
        person.me().await.expect(200);
    }
    let person = World::new().signed_in_person().await;
    for wrong in [json!("true"), json!(1), json!([])] {
        let body = json!({"old_password": PASSWORD, "new_password": NEW_PASSWORD, "tokens": wrong});
        person.post("/auth/change-password", body).await.expect_fields(&["/tokens"]);
    }
}

#[tokio::test]
async fn a_change_of_password_asks_for_the_second_factor() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let reply = person.change_password(NEW_PASSWORD).await.expect_problem(403, "mfa-required");
    assert_eq!(reply.body["methods"], json!(["totp", "recovery_code"]));
    person.with_wrong_code().change_password(NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    person.with_code().mistyping().change_password(NEW_PASSWORD).await.expect_problem(403, "wrong-password");
    person.first_step().await;
    person.with_code().change_password(NEW_PASSWORD).await.expect(200);
    person.me().await.expect(200);
    person.with_recovery_code(0).change_password(RESET_PASSWORD).await.expect(200);
    person.with_recovery_code(0).change_password(PASSWORD).await.expect_problem(400, "invalid-otp");
    // A right password is no failure, whether or not the factor was right.
    for _ in 0..8 {
        person.change_password(NEW_PASSWORD).await.expect_problem(403, "mfa-required");
    }
    person.with_recovery_code(1).change_password(NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn an_access_token_of_another_epoch_than_its_sessions_is_refused() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.me().await.expect(200);
    let user = person.me().await.expect(200).text("id").to_owned();
    // As if session and account had gone on to another epoch, and the token had not.
    for mut item in world.items(&format!("USER#{user}")) {
        item["epoch"] = json!({"N": "2"});
        world.put_item(&item);
    }
    person.me().await.expect_problem(401, "invalid-token");
    person.sessions().await.expect_problem(401, "invalid-token");
    person.logout_all().await.expect_problem(401, "invalid-token");
    let event = json!({"version": "2.0", "headers": {"authorization": format!("Bearer {}", person.access_token())}});
    assert_eq!(world.invoke("authorizer", event).await.unwrap()["isAuthorized"], false);
}
