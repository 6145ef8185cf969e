//! `POST /auth/activate`, and `POST /auth/register` where phones have to be activated.

use serde_json::json;

use crate::harness::{E164, NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, Request, World, another_code};

/// A world in which no account is made without a code.
fn world() -> World {
    World::with(&[("REQUIRE_ACTIVATION", "true")])
}

/// A registration that waits, and its code.
async fn registered(world: &World, phone: &str, password: &str) -> (String, String) {
    let id = world.register(phone, password).await.expect(202).text("activation_id").to_owned();
    (id, world.last_code())
}

async fn activated(world: &World, phone: &str, password: &str) {
    let (id, code) = registered(world, phone, password).await;
    world.activate(&id, &code).await.expect(201);
    world.advance(2);
}

#[tokio::test]
async fn the_account_exists_when_the_code_is_right_and_not_before() {
    let world = world();
    let reply = world.register(PHONE, PASSWORD).await.expect(202);
    assert_eq!(reply.body["expires_in"], 300);
    assert_eq!(reply.body.as_object().unwrap().len(), 2, "no code in the answer");
    let id = reply.text("activation_id");
    let code = world.last_code();

    world.login(PHONE, PASSWORD).await.expect_problem(401, "invalid-credentials");
    let messages = world.outbox.messages().len();
    world.request_reset(PHONE).await.expect(202);
    assert_eq!(world.outbox.messages().len(), messages, "there is no account to reset");
    assert!(world.items("USER#").is_empty());

    let account = world.activate(id, &code).await.expect(201);
    assert_eq!((account.text("phone"), account.body.as_object().unwrap().len()), (E164, 2));
    let token = world.token(PASSWORD).await;
    let me = world.me(&token).await.expect(200);
    assert_eq!((me.text("id"), &me.body["phone_verified"]), (account.text("id"), &json!(true)));
    assert!(world.item("PHONE#", "CREDENTIAL")["expires_at"]["N"].is_null(), "an account is not collected");
}

#[tokio::test]
async fn a_taken_phone_gets_the_same_answer_and_its_owner_a_message() {
    let world = world();
    activated(&world, PHONE, PASSWORD).await;
    world.calls();

    let free = world.register(OTHER_PHONE, NEW_PASSWORD).await.expect(202);
    let calls_of_free: Vec<_> = world.calls().into_iter().map(|call| call.permissions).collect();
    let taken = world.register(PHONE, NEW_PASSWORD).await.expect(202);
    let calls_of_taken: Vec<_> = world.calls().into_iter().map(|call| call.permissions).collect();
    assert_eq!(calls_of_free, calls_of_taken);
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
    world.login(PHONE, PASSWORD).await.expect(200);
    world.login(PHONE, NEW_PASSWORD).await.expect(401);
}

#[tokio::test]
async fn no_code_of_a_taken_phone_is_right_not_even_when_codes_are_exposed() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true"), ("OTP_EXPOSE", "true")]);
    activated(&world, PHONE, PASSWORD).await;
    let taken = world.register(PHONE, NEW_PASSWORD).await.expect(202);
    world.activate(taken.text("activation_id"), taken.text("otp")).await.expect_problem(400, "invalid-otp");
    world.advance(2);
    let again = world.resend_activation(taken.text("activation_id")).await.expect(202);
    world.activate(taken.text("activation_id"), again.text("otp")).await.expect_problem(400, "invalid-otp");

    let free = world.register(OTHER_PHONE, NEW_PASSWORD).await.expect(202);
    assert!(free.text("otp") == world.last_code());
    world.activate(free.text("activation_id"), free.text("otp")).await.expect(201);
}

#[tokio::test]
async fn a_stranger_who_was_first_gets_nothing_of_the_owners_account() {
    // See docs/threats.md#a25.
    let world = world();
    let (strangers, strangers_code) = registered(&world, PHONE, "password of a stranger").await;
    world.advance(2);
    let (owners, owners_code) = registered(&world, PHONE, PASSWORD).await;
    assert!(strangers != owners);
    // A code is of one registration: the owner's does not make the stranger's account.
    if strangers_code != owners_code {
        world.activate(&strangers, &owners_code).await.expect_problem(400, "invalid-otp");
    }
    world.activate(&owners, &owners_code).await.expect(201);

    world.login(PHONE, "password of a stranger").await.expect_problem(401, "invalid-credentials");
    world.login(PHONE, PASSWORD).await.expect(200);
    // Even with its right code, which only the owner was sent, the other registration is dead.
    world.activate(&strangers, &strangers_code).await.expect_problem(409, "phone-taken");
    world.login(PHONE, PASSWORD).await.expect(200);
    world.advance(2);
    world.resend_activation(&strangers).await.expect(202);
    assert_eq!(world.outbox.messages()[0].about, "already-registered");
}

#[tokio::test]
async fn a_code_works_once_and_dies_with_its_time_and_its_tries() {
    let world = world();
    let (id, code) = registered(&world, PHONE, PASSWORD).await;
    for _ in 0..5 {
        world.activate(&id, &another_code(&code)).await.expect_problem(400, "invalid-otp");
    }
    world.activate(&id, &code).await.expect_problem(400, "invalid-otp");

    world.advance(2);
    world.resend_activation(&id).await.expect(202);
    let code = world.last_code();
    world.advance(300);
    world.activate(&id, &code).await.expect_problem(400, "invalid-otp");

    world.resend_activation(&id).await.expect(202);
    let code = world.last_code();
    world.activate(&id, &code).await.expect(201);
    world.activate(&id, &code).await.expect_problem(400, "invalid-otp");
    let item = world.items("PHONE#").into_iter().find(|item| item["sk"]["S"].as_str().unwrap().contains("activation#"));
    let item = item.unwrap();
    assert!(item["password_hash"].is_null() && item["code_mac"].is_null(), "nothing of it is left");
}

#[tokio::test]
async fn codes_of_other_purposes_phones_and_registrations_are_wrong() {
    let world = world();
    activated(&world, PHONE, PASSWORD).await;
    let reset = world.code(PHONE).await;
    let (id, code) = registered(&world, OTHER_PHONE, PASSWORD).await;
    if reset != code {
        world.activate(&id, &reset).await.expect_problem(400, "invalid-otp");
        world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
        world.verify_reset(OTHER_PHONE, &code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    world.activate(&id, &code).await.expect(201);
}

#[tokio::test]
async fn a_made_up_registration_is_a_wrong_code_and_touches_nothing() {
    let world = world().warm().await;
    let (id, code) = registered(&world, PHONE, PASSWORD).await;
    world.calls();
    let mut altered = id.clone();
    altered.replace_range(60..61, if &id[60..61] == "A" { "B" } else { "A" });
    for made_up in ["", "made-up", &altered, &id[1..], &format!("{id}A"), &format!("{id}=")] {
        world.activate(made_up, &code).await.expect_problem(400, "invalid-otp");
        world.resend_activation(made_up).await.expect_fields(&["/activation_id"]);
    }
    assert!(world.calls().is_empty(), "refused before anything is read");
    world.activate(&id, &code).await.expect(201);
}

#[tokio::test]
async fn wrong_fields_are_named_and_use_no_try_up() {
    let world = world();
    let (id, code) = registered(&world, PHONE, PASSWORD).await;
    let check = async |body, fields: &[&str]| {
        world.post("/auth/activate", body).await.expect_fields(fields);
    };
    check(json!({}), &["/activation_id", "/otp"]).await;
    check(json!({"activation_id": 1, "otp": 123_456}), &["/activation_id", "/otp"]).await;
    for otp in ["12345", "1234567", " 123456", "１２３４５６", "12345a"] {
        check(json!({"activation_id": id, "otp": otp}), &["/otp"]).await;
    }
    world.post("/auth/resend-activation", json!({})).await.expect_fields(&["/activation_id"]);
    world.activate(&id, &code).await.expect(201);
}

#[tokio::test]
async fn wrong_codes_of_one_phone_add_up_over_registrations() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true"), ("LIMIT_MESSAGES_PER_PHONE", "1000")]);
    for _ in 0..20 {
        let (id, code) = registered(&world, PHONE, PASSWORD).await;
        for _ in 0..5 {
            world.activate(&id, &another_code(&code)).await.expect_problem(400, "invalid-otp");
        }
        world.advance(2);
    }
    let (id, code) = registered(&world, PHONE, PASSWORD).await;
    assert!(world.activate(&id, &code).await.expect_limit("otp-phone") > 86_400);
    // Other phones do not suffer from it.
    activated(&world, OTHER_PHONE, PASSWORD).await;
}

#[tokio::test]
async fn an_account_that_was_made_meanwhile_is_told_to_the_phones_owner() {
    let world = world();
    let (id, code) = registered(&world, PHONE, PASSWORD).await;
    activated(&world, OTHER_PHONE, NEW_PASSWORD).await;
    let token = world.login(OTHER_PHONE, NEW_PASSWORD).await.expect(200).tokens().0;
    world.change_phone(&token, NEW_PASSWORD, PHONE).await.expect(202);
    world.change_phone_verify(&token, PHONE, &world.last_code()).await.expect(204);
    world.activate(&id, &code).await.expect_problem(409, "phone-taken");
    world.login(PHONE, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn registrations_share_the_phones_cooldown_and_all_budgets() {
    let variables =
        [("REQUIRE_ACTIVATION", "true"), ("LIMIT_MESSAGES_PER_PHONE", "3"), ("LIMIT_REGISTER_PER_ADDRESS", "5")];
    let world = World::with(&variables);
    let (id, _) = registered(&world, PHONE, PASSWORD).await;
    assert_eq!(world.register(PHONE, NEW_PASSWORD).await.expect_limit("messages-cooldown"), 1);
    assert_eq!(world.resend_activation(&id).await.expect_limit("messages-cooldown"), 1);
    world.advance(1);
    world.resend_activation(&id).await.expect(202);
    world.advance(1);
    world.register(PHONE, NEW_PASSWORD).await.expect(202);
    world.advance(1);
    assert!(world.register(PHONE, NEW_PASSWORD).await.expect_limit("messages-phone") > 1);
    assert!(world.resend_activation(&id).await.expect_limit("messages-phone") > 1);
    assert_eq!(world.outbox.messages().len(), 3);
    for at in 0..3 {
        world.register(&format!("0101234560{at}"), PASSWORD).await.expect(202);
    }
    assert!(world.register(OTHER_PHONE, PASSWORD).await.expect_limit("register-address") > 1);
    let elsewhere = Request::post("/auth/register", json!({"phone": OTHER_PHONE, "password": PASSWORD}));
    world.send(elsewhere.from("203.0.113.8")).await.expect(202);
}

#[tokio::test]
async fn within_the_cooldown_the_old_code_stays() {
    let world = world();
    let (id, code) = registered(&world, PHONE, PASSWORD).await;
    world.resend_activation(&id).await.expect_limit("messages-cooldown");
    world.register(PHONE, NEW_PASSWORD).await.expect_limit("messages-cooldown");
    world.activate(&id, &code).await.expect(201);
    world.login(PHONE, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_test_number_activates_with_its_own_code_and_is_sent_nothing() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true"), ("TEST_NUMBERS", "+201000000001=042424")]);
    let id = world.register("01000000001", PASSWORD).await.expect(202).text("activation_id").to_owned();
    world.activate(&id, "042424").await.expect(201);
    world.advance(2);
    let taken = world.register("01000000001", NEW_PASSWORD).await.expect(202).text("activation_id").to_owned();
    world.activate(&taken, "042424").await.expect_problem(400, "invalid-otp");
    assert!(world.outbox.messages().is_empty() && world.items("LIMIT#sms").is_empty());
}

#[tokio::test]
async fn an_account_needs_no_activation_where_none_is_asked_for() {
    let world = World::new();
    world.register(PHONE, PASSWORD).await.expect(201);
    assert!(world.outbox.messages().is_empty());
    // Registrations of before the setting was changed are activated all the same: the endpoints are there.
    world.activate("made-up", "123456").await.expect_problem(400, "invalid-otp");
}
