//! `POST /auth/register`

use serde_json::json;

use crate::harness::{E164, OTHER_PHONE, PASSWORD, PHONE, THIRD_PHONE, World};

#[tokio::test]
async fn a_new_phone_gets_an_account_and_is_answered_in_e164() {
    let person = World::new().visitor(PHONE);
    let reply = person.register().await.expect(201);
    assert_eq!(reply.text("phone"), E164);
    assert_eq!(reply.body.as_object().unwrap().len(), 2);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    person.login().await.expect(200);
}

#[tokio::test]
async fn every_spelling_of_a_phone_is_the_same_user() {
    let world = World::new();
    world.person().await;
    for spelling in ["01012345678", "+201012345678", "+20 10-1234-5678", "(010) 1234 5678", "00201012345678"] {
        let person = world.visitor(spelling);
        person.register().await.expect_problem(409, "phone-taken");
        person.login().await.expect(200);
    }
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let world = World::new();
    let check = async |body, fields: &[&str]| {
        world.post("/auth/register", body).await.expect_fields(fields);
    };
    check(json!({}), &["/phone", "/password"]).await;
    check(json!({"phone": null, "password": null}), &["/phone", "/password"]).await;
    check(json!({"phone": 1_012_345_678, "password": ["x"]}), &["/phone", "/password"]).await;
    check(json!({"phone": "12", "password": "short"}), &["/phone", "/password"]).await;
    check(json!({"phone": PHONE, "password": "password"}), &["/password"]).await;
    check(json!({"phone": PHONE, "password": "x".repeat(129)}), &["/password"]).await;
    check(json!({"phone": PHONE, "password": PHONE}), &["/password"]).await;
    check(json!({"phone": PHONE, "password": "+201012345678"}), &["/password"]).await;
    check(json!({"phone": "+1 900 234 5678", "password": PASSWORD}), &["/phone"]).await;
    check(json!({"phone": "01012345678 x12", "password": PASSWORD}), &["/phone"]).await;
    assert!(world.items("PHONE#").is_empty() && world.items("USER#").is_empty(), "nothing was written");
}

#[tokio::test]
async fn fields_that_are_not_asked_for_change_nothing() {
    let world = World::new();
    let body = json!({
        "phone": PHONE, "password": PASSWORD, "id": "me", "user_id": "me", "epoch": 99, "phone_verified": true,
        "mfa_enabled": true, "created_at": "1970-01-01T00:00:00Z", "status": "admin",
    });
    let reply = world.post("/auth/register", body).await.expect(201);
    assert_ne!(reply.text("id"), "me");
    let person = world.visitor(PHONE).signed_in().await;
    let me = person.me().await.expect(200);
    assert_eq!((&me.body["phone_verified"], &me.body["mfa_enabled"]), (&json!(false), &json!(false)));
    assert_ne!(me.text("created_at"), "1970-01-01T00:00:00Z");
}

#[tokio::test]
async fn the_table_holds_an_argon2id_hash_and_not_the_password() {
    let world = World::with_full_hashes();
    world.person().await;
    let credential = world.item("PHONE#", "CREDENTIAL");
    assert!(credential["password_hash"]["S"].as_str().unwrap().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    let all = serde_json::to_string(&world.items("")).unwrap();
    assert!(!all.contains(PASSWORD));
}

#[tokio::test]
async fn an_account_is_never_collected_whatever_was_tried_on_its_phone_before() {
    let world = World::new();
    let person = world.visitor(PHONE);
    for _ in 0..3 {
        person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    }
    assert!(world.item("PHONE#", "CREDENTIAL")["expires_at"]["N"].is_string(), "a ghost is collected some day");
    person.register().await.expect(201);
    person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    person.login().await.expect(200);
    assert!(world.item("PHONE#", "CREDENTIAL")["expires_at"]["N"].is_null(), "TTL looks at numbers only");
    world.advance(31 * 86_400);
    assert!(world.collect_garbage() > 0, "sessions and limits are");
    person.login().await.expect(200);
}

#[tokio::test]
async fn guesses_before_the_account_existed_do_not_keep_its_owner_out() {
    let person = World::new().visitor(PHONE);
    for _ in 0..8 {
        person.mistyping().login().await;
    }
    person.mistyping().login().await.expect_limit("login-phone");
    person.register().await.expect(201);
    person.login().await.expect(200);
}

#[tokio::test]
async fn an_address_registers_so_often_and_learns_of_taken_phones_no_oftener() {
    let world = World::with(&[("LIMIT_REGISTER_PER_ADDRESS", "3")]);
    let (person, other) = (world.person().await, world.visitor(OTHER_PHONE));
    person.register().await.expect_problem(409, "phone-taken");
    person.register().await.expect_problem(409, "phone-taken");
    let wait = person.register().await.expect_limit("register-address");
    assert!((1..=3600).contains(&wait));
    other.register().await.expect_limit("register-address");

    other.at("203.0.113.8").register().await.expect(201);
    world.advance(wait);
    world.visitor(THIRD_PHONE).register().await.expect(201);
}

#[tokio::test]
async fn only_the_countries_that_are_served_can_register() {
    let world = World::with(&[("PHONE_ALLOWED_COUNTRIES", "EG,UZ")]);
    world.visitor("+12025550173").register().await.expect_fields(&["/phone"]);
    world.visitor("+998901234567").register().await.expect(201);
    world.visitor(PHONE).register().await.expect(201);
}
