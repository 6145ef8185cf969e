//! `POST /auth/request-reset`

use serde_json::{Value, json};

use crate::harness::{E164, OTHER_PHONE, RESET_PASSWORD, World};

#[tokio::test]
async fn the_owner_gets_a_code_and_the_answer_does_not() {
    let world = World::new();
    let person = world.person().await;
    let reply = person.request_reset().await.expect(202);
    assert_eq!(reply.body, json!({"challenge": reply.text("challenge")}));
    let messages = world.outbox.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].to.as_e164(), E164);
    assert_eq!(person.code().len(), 6);
}

#[tokio::test]
async fn a_phone_without_an_account_gets_the_same_answer_and_no_message() {
    let world = World::new();
    let (person, stranger) = (world.person().await, world.visitor(OTHER_PHONE));
    let (known, unknown) = (person.request_reset().await, stranger.request_reset().await);
    assert!(known.fingerprint() == unknown.fingerprint());
    assert_eq!(world.outbox.messages().len(), 1);

    let (known, unknown) = (person.request_reset().await, stranger.request_reset().await);
    assert!(known.fingerprint() == unknown.fingerprint(), "the cooldown is the same, too");
}

#[tokio::test]
async fn a_phone_without_an_account_costs_the_same_calls() {
    let world = World::new().warm().await;
    let mut work = Vec::new();
    for asker in [world.person().await, world.visitor(OTHER_PHONE)] {
        world.calls();
        asker.request_reset().await.expect(202);
        work.push(world.permissions_used());
    }
    // A budget that everybody shares is counted for the one and only checked for the other: in the same transaction.
    for permissions in &mut work[1] {
        permissions.retain(|permission| permission.action != "dynamodb:ConditionCheckItem");
    }
    assert_eq!(work[0], work[1]);
}

#[tokio::test]
async fn codes_are_in_answers_only_when_they_are_exposed_and_then_for_every_phone() {
    let world = World::with(&[("OTP_EXPOSE", "true")]);
    let (person, stranger) = (world.person().await, world.visitor(OTHER_PHONE));
    let exposed = person.request_reset().await.expect(202);
    assert!(exposed.text("otp") == person.code());

    let decoy = stranger.request_reset().await.expect(202);
    assert_eq!(decoy.text("otp").len(), 6);
    stranger.verify_reset(decoy.text("otp"), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    stranger.typing(RESET_PASSWORD).login().await.expect_problem(401, "invalid-credentials");
}

#[tokio::test]
async fn within_the_cooldown_the_old_code_stays() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    assert_eq!(person.request_reset().await.expect_limit("messages-cooldown"), 1);
    assert_eq!(world.outbox.messages().len(), 1);
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn the_cooldown_is_as_long_as_configured() {
    let world = World::with(&[("OTP_RESEND_COOLDOWN", "60")]);
    let person = world.person().await;
    person.request_reset().await.expect(202);
    world.advance(59);
    assert_eq!(person.request_reset().await.expect_limit("messages-cooldown"), 1);
    world.advance(1);
    person.request_reset().await.expect(202);
}

/// What the answer must not tell is told by the messages alone.
#[tokio::test]
async fn a_phone_gets_ten_messages_a_day_and_the_answer_does_not_tell() {
    let world = World::new();
    let (person, stranger) = (world.person().await, world.visitor(OTHER_PHONE));
    for _ in 0..15 {
        let known = person.request_reset().await.expect(202);
        assert!(known.fingerprint() == stranger.request_reset().await.fingerprint());
        world.advance(1);
    }
    assert_eq!(world.outbox.messages().len(), 10);
    // The codes that arrived still work, and so does the next day's.
    person.verify_reset(&person.code(), RESET_PASSWORD).await.expect(204);
    assert_eq!(world.outbox.messages().len(), 11, "the notice of the reset");
    world.advance(86_400);
    person.request_reset().await.expect(202);
    assert_eq!(world.outbox.messages().len(), 12);
}

/// Where codes are in answers nothing is hidden, and a code that nobody takes would be of no use.
#[tokio::test]
async fn where_codes_are_exposed_the_limit_is_told() {
    let world = World::with(&[("OTP_EXPOSE", "true"), ("LIMIT_MESSAGES_PER_PHONE", "2")]);
    let person = world.person().await;
    for _ in 0..2 {
        person.request_reset().await.expect(202);
        world.advance(1);
    }
    let wait = person.request_reset().await.expect_limit("messages-phone");
    assert!((1..=86_400).contains(&wait));
}

#[tokio::test]
async fn what_is_asked_for_in_vain_uses_up_no_message_of_the_address() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_ADDRESS", "3")]);
    let person = world.person().await;
    for at in 0..5 {
        world.visitor(&format!("0101234560{at}")).request_reset().await.expect(202);
    }
    for _ in 0..5 {
        person.request_reset().await.expect(202);
        world.advance(1);
    }
    assert_eq!(world.outbox.messages().len(), 3);
    person.at("203.0.113.8").request_reset().await.expect(202);
    assert_eq!(world.outbox.messages().len(), 4);
    world.advance(3600);
    person.request_reset().await.expect(202);
    assert_eq!(world.outbox.messages().len(), 5);
}

#[tokio::test]
async fn a_throttled_login_does_not_keep_the_owner_from_resetting() {
    let person = World::new().person().await;
    for _ in 0..7 {
        person.mistyping().login().await;
    }
    person.reset_password(RESET_PASSWORD).await;
    person.typing(RESET_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn the_table_holds_a_keyed_hash_and_not_the_code() {
    let world = World::new();
    let code = world.person().await.reset_code().await;
    let item = world.item("PHONE#", "OTP#reset");
    let mac = |item: &Value| item["codes"]["L"][0]["M"]["code_mac"]["B"].as_str().unwrap().to_owned();
    assert_eq!(mac(&item).len(), 44, "256 bits in base64");
    let texts = item.as_object().unwrap().values().filter_map(|value| value["S"].as_str());
    assert!(texts.filter(|text| text.contains(&code)).count() == 0);

    // The same code for another phone, or sent again, is another hash: the table cannot be searched for equal codes.
    world.person_with_phone(OTHER_PHONE).await.request_reset().await.expect(202);
    let hashes = world.items("PHONE#").into_iter().filter(|item| item["sk"]["S"] == "OTP#reset");
    let hashes: Vec<_> = hashes.map(|item| mac(&item)).collect();
    assert!(hashes.len() == 2 && hashes[0] != hashes[1]);
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let world = World::new();
    for body in [json!({}), json!({"phone": ""}), json!({"phone": 1}), json!({"phone": "not a phone"})] {
        world.post("/auth/request-reset", body).await.expect_fields(&["/phone"]);
    }
    assert!(world.items("PHONE#").is_empty());
}
