//! `POST /auth/activate`, and `POST /auth/register` where phones have to be activated.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use crate::harness::{E164, NEW_PASSWORD, OTHER_PHONE, PHONE, Person, RESET_PASSWORD, World, another_code};

/// A world in which no account is made without a code.
fn world() -> World {
    World::with(&[("REQUIRE_ACTIVATION", "true")])
}

/// Somebody whose registration waits, and the code that it waits for.
async fn registering(world: &World, phone: &str) -> (Person, String) {
    let person = world.visitor(phone);
    person.register().await.expect(202);
    let code = person.code();
    (person, code)
}

#[tokio::test]
async fn the_account_exists_when_the_code_is_right_and_not_before() {
    let world = world();
    let person = world.visitor(PHONE);
    let reply = person.register().await.expect(202);
    assert_eq!(reply.body["expires_in"], 300);
    assert_eq!(reply.body.as_object().unwrap().len(), 2, "no code in the answer");
    let code = person.code();

    person.login().await.expect_problem(401, "invalid-credentials");
    let messages = world.outbox.messages().len();
    person.request_reset().await.expect(202);
    assert_eq!(world.outbox.messages().len(), messages, "there is no account to reset");
    assert!(world.items("USER#").is_empty());

    let account = person.activate(&code).await.expect(201);
    assert_eq!((account.text("phone"), account.body.as_object().unwrap().len()), (E164, 2));
    person.sign_in().await;
    let me = person.me().await.expect(200);
    assert_eq!((me.text("id"), &me.body["phone_verified"]), (account.text("id"), &json!(true)));
    assert!(world.item("PHONE#", "CREDENTIAL")["expires_at"]["N"].is_null(), "an account is not collected");
}

#[tokio::test]
async fn a_taken_phone_gets_the_same_answer_and_its_owner_a_message() {
    let world = world();
    let owner = world.person().await;
    world.calls();

    let free = world.visitor(OTHER_PHONE).typing(NEW_PASSWORD).register().await.expect(202);
    let work_for_free = world.permissions_used();
    let taken = world.visitor(PHONE).typing(NEW_PASSWORD).register().await.expect(202);
    assert_eq!(work_for_free, world.permissions_used());
    let (mut free, mut taken) = (free.fingerprint(), taken.fingerprint());
    for (_, _, body) in [&mut free, &mut taken] {
        let id = body["activation_id"].take();
        body["activation_id"] = id.as_str().unwrap().len().into();
    }
    assert!(free == taken);

    let notice = world.outbox.messages().remove(0);
    assert_eq!((notice.to.as_e164(), notice.about), (E164, "already-registered"));
    assert!(notice.text.contains("you already have an account"));
    assert!(!notice.text.bytes().any(|b| b.is_ascii_digit()), "no code");
    owner.login().await.expect(200);
    owner.typing(NEW_PASSWORD).login().await.expect(401);
}

#[tokio::test]
async fn no_code_of_a_taken_phone_is_right_not_even_when_codes_are_exposed() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true"), ("OTP_EXPOSE", "true")]);
    world.person().await;
    let stranger = world.visitor(PHONE).typing(NEW_PASSWORD);
    let taken = stranger.register().await.expect(202);
    stranger.activate(taken.text("otp")).await.expect_problem(400, "invalid-otp");
    world.advance(2);
    let again = stranger.resend_activation().await.expect(202);
    stranger.activate(again.text("otp")).await.expect_problem(400, "invalid-otp");

    let newcomer = world.visitor(OTHER_PHONE);
    let free = newcomer.register().await.expect(202);
    assert!(free.text("otp") == newcomer.code());
    newcomer.activate(free.text("otp")).await.expect(201);
}

#[tokio::test]
async fn a_stranger_who_was_first_gets_nothing_of_the_owners_account() {
    let world = world();
    let stranger = world.visitor(PHONE).typing("password of a stranger");
    stranger.register().await.expect(202);
    // Sent to the owner, whose phone it is.
    let strangers_code = stranger.code();
    world.advance(2);
    let (owner, owners_code) = registering(&world, PHONE).await;
    assert!(stranger.activation_id() != owner.activation_id());
    // A code is of one registration: the owner's does not make the stranger's account.
    if strangers_code != owners_code {
        stranger.activate(&owners_code).await.expect_problem(400, "invalid-otp");
    }
    owner.activate(&owners_code).await.expect(201);

    stranger.login().await.expect_problem(401, "invalid-credentials");
    owner.login().await.expect(200);
    // Even with its right code, which only the owner was sent, the other registration is dead.
    stranger.activate(&strangers_code).await.expect_problem(409, "phone-taken");
    owner.login().await.expect(200);
    world.advance(2);
    stranger.resend_activation().await.expect(202);
    assert_eq!(world.outbox.messages()[0].about, "already-registered");
}

#[tokio::test]
async fn a_code_works_once_and_dies_with_its_time_and_its_tries() {
    let world = world();
    let (person, code) = registering(&world, PHONE).await;
    for _ in 0..5 {
        person.activate(&another_code(&code)).await.expect_problem(400, "invalid-otp");
    }
    person.activate(&code).await.expect_problem(400, "invalid-otp");

    world.advance(2);
    person.resend_activation().await.expect(202);
    let code = person.code();
    world.advance(300);
    person.activate(&code).await.expect_problem(400, "invalid-otp");

    person.resend_activation().await.expect(202);
    let code = person.code();
    person.activate(&code).await.expect(201);
    let item = world.items("PHONE#").into_iter().find(|item| item["sk"]["S"].as_str().unwrap().contains("activation#"));
    let item = item.unwrap();
    assert!(item["password_hash"].is_null() && item["codes"].is_null(), "nothing of it works any more");
}

#[tokio::test]
async fn codes_of_other_purposes_phones_and_registrations_are_wrong() {
    let world = world();
    let person = world.person().await;
    let reset = person.reset_code().await;
    let (newcomer, code) = registering(&world, OTHER_PHONE).await;
    if reset != code {
        newcomer.activate(&reset).await.expect_problem(400, "invalid-otp");
        person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
        newcomer.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    newcomer.activate(&code).await.expect(201);
}

#[tokio::test]
async fn a_made_up_registration_is_a_wrong_code_and_touches_nothing() {
    let world = world().warm().await;
    let (person, code) = registering(&world, PHONE).await;
    world.calls();
    let id = person.activation_id();
    let mut altered = id.clone();
    altered.replace_range(60..61, if &id[60..61] == "A" { "B" } else { "A" });
    for made_up in ["", "made-up", &altered, &id[1..], &format!("{id}A"), &format!("{id}=")] {
        let activate = json!({"activation_id": made_up, "otp": code});
        world.post("/auth/activate", activate).await.expect_problem(400, "invalid-otp");
        let resend = json!({"activation_id": made_up});
        world.post("/auth/resend-activation", resend).await.expect_fields(&["/activation_id"]);
    }
    assert!(world.calls().is_empty(), "refused before anything is read");
    person.activate(&code).await.expect(201);
}

#[tokio::test]
async fn wrong_fields_are_named_and_use_no_try_up() {
    let world = world();
    let (person, code) = registering(&world, PHONE).await;
    let check = async |body, fields: &[&str]| {
        world.post("/auth/activate", body).await.expect_fields(fields);
    };
    check(json!({}), &["/activation_id", "/otp"]).await;
    check(json!({"activation_id": 1, "otp": 123_456}), &["/activation_id", "/otp"]).await;
    for otp in ["12345", "1234567", "+123456", "123456 123456", "12345a"] {
        person.activate(otp).await.expect_fields(&["/otp"]);
    }
    world.post("/auth/resend-activation", json!({})).await.expect_fields(&["/activation_id"]);
    person.activate(&code).await.expect(201);
}

#[tokio::test]
async fn wrong_codes_of_one_phone_add_up_over_registrations() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true"), ("LIMIT_MESSAGES_PER_PHONE", "1000")]);
    let mut last = None;
    for _ in 0..20 {
        world.advance(2);
        let (person, code) = registering(&world, PHONE).await;
        for _ in 0..5 {
            person.activate(&another_code(&code)).await.expect_problem(400, "invalid-otp");
        }
        last = Some(person);
    }
    world.advance(2);
    // No message is paid for whose code would be refused.
    let sent = world.outbox.messages_after(0).1;
    let a_day = 50_000..=86_400;
    assert!(a_day.contains(&world.visitor(PHONE).register().await.expect_limit("otp-phone")));
    assert!(a_day.contains(&last.unwrap().resend_activation().await.expect_limit("otp-phone")));
    assert_eq!(world.outbox.messages_after(0).1, sent);
    // Other phones do not suffer from it.
    world.person_with_phone(OTHER_PHONE).await;
}

#[tokio::test]
async fn an_account_that_was_made_meanwhile_is_told_to_the_phones_owner() {
    let world = world();
    let (late, code) = registering(&world, PHONE).await;
    let other = world.visitor(OTHER_PHONE).typing(NEW_PASSWORD).registered().await.signed_in().await;
    other.move_to(PHONE).await;
    late.activate(&code).await.expect_problem(409, "phone-taken");
    other.login().await.expect(200);
}

#[tokio::test]
async fn registrations_share_the_phones_cooldown_and_all_budgets() {
    let variables =
        [("REQUIRE_ACTIVATION", "true"), ("LIMIT_MESSAGES_PER_PHONE", "3"), ("LIMIT_REGISTER_PER_ADDRESS", "7")];
    let world = World::with(&variables);
    let (person, _) = registering(&world, PHONE).await;
    let again = person.on_another_device().typing(NEW_PASSWORD);
    assert_eq!(again.register().await.expect_limit("messages-cooldown"), 1);
    assert_eq!(person.resend_activation().await.expect_limit("messages-cooldown"), 1);
    world.advance(1);
    person.resend_activation().await.expect(202);
    world.advance(1);
    again.register().await.expect(202);
    world.advance(1);
    assert!(again.register().await.expect_limit("messages-phone") > 1);
    assert!(person.resend_activation().await.expect_limit("messages-phone") > 1);
    assert_eq!(world.outbox.messages().len(), 3);
    for at in 0..3 {
        world.visitor(&format!("0101234560{at}")).register().await.expect(202);
    }
    // The two that were refused are counted as well, before their passwords would have been hashed.
    let other = world.visitor(OTHER_PHONE);
    assert!(other.register().await.expect_limit("register-address") > 1);
    other.at("203.0.113.8").register().await.expect(202);
}

#[tokio::test]
async fn within_the_cooldown_the_old_code_stays() {
    let world = world();
    let (person, code) = registering(&world, PHONE).await;
    person.resend_activation().await.expect_limit("messages-cooldown");
    person.on_another_device().typing(NEW_PASSWORD).register().await.expect_limit("messages-cooldown");
    person.activate(&code).await.expect(201);
    person.login().await.expect(200);
}

#[tokio::test]
async fn a_test_number_activates_with_its_own_code_and_is_sent_nothing() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true"), ("TEST_NUMBERS", "+201000000001=042424")]);
    let tester = world.visitor("01000000001");
    tester.register().await.expect(202);
    tester.activate("042424").await.expect(201);
    world.advance(2);
    let again = tester.on_another_device().typing(NEW_PASSWORD);
    again.register().await.expect(202);
    again.activate("042424").await.expect_problem(400, "invalid-otp");
    assert!(world.outbox.messages().is_empty() && world.items("LIMIT#sms").is_empty());
}

#[tokio::test]
async fn an_account_needs_no_activation_where_none_is_asked_for() {
    let world = World::new();
    world.visitor(PHONE).register().await.expect(201);
    assert!(world.outbox.messages().is_empty());
    // Registrations of before the setting was changed are activated all the same: the endpoints are there.
    let activate = json!({"activation_id": "made-up", "otp": "123456"});
    world.post("/auth/activate", activate).await.expect_problem(400, "invalid-otp");
}

/// Clients keep it in logs and addresses.
#[tokio::test]
async fn an_activation_id_does_not_tell_the_phone() {
    let world = world();
    let person = world.visitor(PHONE);
    person.register().await.expect(202);
    let id = BASE64_URL_SAFE_NO_PAD.decode(person.activation_id()).unwrap();
    assert!(!String::from_utf8_lossy(&id).contains("1012345678"));
    person.activate(&person.code()).await.expect(201);
}

#[tokio::test]
async fn an_activation_signs_in_if_it_is_asked_to() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    let person = world.visitor(PHONE);
    person.register().await.expect(202);
    let body = json!({"activation_id": person.activation_id(), "otp": person.code(), "sign_in": true});
    let reply = person.post("/auth/activate", body).await.expect(201);
    assert_eq!(reply.text("token_type"), "bearer");
    assert_eq!(person.me().await.expect(200).text("id"), reply.text("id"));
    assert_eq!(crate::jwt_attacks::Parts::of(&person.access_token()).claims["amr"], json!(["sms"]));
    person.refresh().await.expect(200);
    person.on_another_device().sign_in().await;
}
