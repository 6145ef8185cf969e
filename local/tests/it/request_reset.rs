//! `POST /auth/request-reset`

use serde_json::json;

use crate::harness::{E164, OTHER_PHONE, PHONE, RESET_PASSWORD, Request, World};

#[tokio::test]
async fn the_owner_gets_a_code_and_the_answer_does_not() {
    let world = World::new().with_account().await;
    let reply = world.request_reset(PHONE).await.expect(202);
    assert_eq!(reply.body, json!({}));
    let messages = world.outbox.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].to.as_e164(), E164);
    assert_eq!(world.last_code().len(), 6);
}

#[tokio::test]
async fn a_phone_without_an_account_gets_the_same_answer_and_no_message() {
    let world = World::new().with_account().await;
    let known = world.request_reset(PHONE).await;
    let unknown = world.request_reset(OTHER_PHONE).await;
    assert!(known.fingerprint() == unknown.fingerprint());
    assert_eq!(world.outbox.messages().len(), 1);

    let known = world.request_reset(PHONE).await;
    let unknown = world.request_reset(OTHER_PHONE).await;
    assert!(known.fingerprint() == unknown.fingerprint(), "the cooldown is the same, too");
}

#[tokio::test]
async fn a_phone_without_an_account_costs_the_same_calls() {
    let world = World::new().with_account().await.warm().await;
    let mut shapes = Vec::new();
    for phone in [PHONE, OTHER_PHONE] {
        world.calls();
        world.request_reset(phone).await.expect(202);
        shapes.push(world.calls().into_iter().map(|call| call.permissions).collect::<Vec<_>>());
    }
    // Of a budget that all share, the one is counted and the other looked at: in the same transaction.
    for permissions in &mut shapes[1] {
        permissions.retain(|permission| permission.action != "dynamodb:ConditionCheckItem");
    }
    assert_eq!(shapes[0], shapes[1]);
}

#[tokio::test]
async fn codes_are_in_answers_only_when_they_are_exposed_and_then_for_every_phone() {
    let world = World::with(&[("OTP_EXPOSE", "true")]).with_account().await;
    let exposed = world.request_reset(PHONE).await.expect(202).text("otp").to_owned();
    assert!(exposed == world.last_code());

    let decoy = world.request_reset(OTHER_PHONE).await.expect(202).text("otp").to_owned();
    assert_eq!(decoy.len(), 6);
    world.verify_reset(OTHER_PHONE, &decoy, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    world.login(OTHER_PHONE, RESET_PASSWORD).await.expect_problem(401, "invalid-credentials");
}

#[tokio::test]
async fn within_the_cooldown_the_old_code_stays() {
    let world = World::new().with_account().await;
    let code = world.code(PHONE).await;
    assert_eq!(world.request_reset(PHONE).await.expect_limit("messages-cooldown"), 1);
    assert_eq!(world.outbox.messages().len(), 1);
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn the_cooldown_is_as_long_as_configured() {
    let world = World::with(&[("OTP_RESEND_COOLDOWN", "60")]).with_account().await;
    world.request_reset(PHONE).await.expect(202);
    world.advance(59);
    assert_eq!(world.request_reset(PHONE).await.expect_limit("messages-cooldown"), 1);
    world.advance(1);
    world.request_reset(PHONE).await.expect(202);
}

#[tokio::test]
async fn a_new_code_replaces_the_old_one() {
    let world = World::new().with_account().await;
    let old = world.code(PHONE).await;
    world.advance(1);
    let mut new = world.code(PHONE).await;
    while new == old {
        world.advance(1);
        new = world.code(PHONE).await;
    }
    world.verify_reset(PHONE, &old, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    world.verify_reset(PHONE, &new, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn a_phone_gets_ten_messages_a_day_registered_or_not() {
    let world = World::new().with_account().await;
    for phone in [PHONE, OTHER_PHONE] {
        for _ in 0..10 {
            world.request_reset(phone).await.expect(202);
            world.advance(1);
        }
        let wait = world.request_reset(phone).await.expect_limit("messages-phone");
        assert!((1..=86_400).contains(&wait));
    }
    assert_eq!(world.outbox.messages().len(), 10);
    world.advance(86_400);
    world.request_reset(PHONE).await.expect(202);
}

#[tokio::test]
async fn an_address_asks_for_so_many_messages() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_ADDRESS", "3")]).with_account().await;
    for at in 0..3 {
        world.request_reset(&format!("0101234560{at}")).await.expect(202);
    }
    let wait = world.request_reset(PHONE).await.expect_limit("messages-address");
    assert!((1..=3600).contains(&wait));
    assert!(world.outbox.messages().is_empty());
    let elsewhere = Request::post("/auth/request-reset", json!({"phone": PHONE})).from("203.0.113.8");
    world.send(elsewhere).await.expect(202);
    world.advance(wait);
    world.request_reset(PHONE).await.expect(202);
}

#[tokio::test]
async fn a_throttled_login_does_not_keep_the_owner_from_resetting() {
    let world = World::new().with_account().await;
    for _ in 0..7 {
        world.login(PHONE, "wrong password").await;
    }
    let code = world.code(PHONE).await;
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
    world.login(PHONE, RESET_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn the_table_holds_a_keyed_hash_and_not_the_code() {
    let world = World::new().with_account().await;
    let code = world.code(PHONE).await;
    let item = world.item("PHONE#", "OTP#reset");
    assert!(item["code_mac"]["B"].is_string());
    let texts = item.as_object().unwrap().values().filter_map(|value| value["S"].as_str());
    assert!(texts.filter(|text| text.contains(&code)).count() == 0);

    // The same code for another phone, or sent again, is another hash: the table cannot be searched for equal codes.
    world.register(OTHER_PHONE, "mypassword").await.expect(201);
    world.request_reset(OTHER_PHONE).await.expect(202);
    let hashes = world.items("PHONE#").into_iter().filter(|item| item["sk"]["S"] == "OTP#reset");
    let hashes: Vec<_> = hashes.map(|item| item["code_mac"]["B"].as_str().unwrap().to_owned()).collect();
    assert!(hashes.len() == 2 && hashes[0] != hashes[1]);
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let world = World::new();
    for body in [json!({}), json!({"phone": ""}), json!({"phone": 1}), json!({"phone": "+20 2 2345 6789"})] {
        world.post("/auth/request-reset", body).await.expect_fields(&["/phone"]);
    }
    assert!(world.items("PHONE#").is_empty());
}
