//! Somebody who earns by every message that we send (SMS pumping), and what the budgets leave of it.

use std::collections::BTreeMap;

use latchkey::{
    base::id::UserId,
    domain::{password::PasswordHash, phone::Phone},
    store::{Import, ImportedAccount, OldPassword},
};
use serde_json::{Value, json};

use crate::harness::{NEW_PASSWORD, OTHER_PHONE, PHONE, World};

/// Of no password that anybody knows.
const BCRYPT: &str = "$2b$04$2zMEUdZC85CqLhKae.pfeunVXkvrX8VF/p7NPNmesAh7aaykBARri";

/// Makes accounts with these phones, as an import does: hashing a password for each would take as long as all the rest.
pub(crate) async fn accounts(world: &World, phones: &[String]) {
    let store = world.store();
    for phone in phones {
        let legacy_id = phone[1..].parse::<i64>().unwrap().into();
        let phone = Phone::from_stored(phone).unwrap();
        let account = ImportedAccount {
            legacy_id,
            phone,
            password: OldPassword::Hash(PasswordHash::from_bcrypt(BCRYPT).unwrap()),
        };
        let made = store.import_account(UserId::generate().unwrap(), &account, world.clock.now()).await.unwrap();
        assert_eq!(made, Import::Created);
    }
}

async fn ask(world: &World, phone: &str, from: &str) -> Result<(), String> {
    let reply = world.visitor(phone).at(from).request_reset().await;
    if reply.status == 202 { Ok(()) } else { Err(reply.body["bucket"].as_str().unwrap().to_owned()) }
}

#[tokio::test]
async fn a_thousand_codes_from_fifty_addresses_to_two_hundred_numbers() {
    let world = World::new();
    let phones: Vec<_> = (0..200).map(|at| format!("+2010123{at:05}")).collect();
    accounts(&world, &phones).await;
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for at in 0..1000 {
        // Slow enough for the cooldown.
        if at % phones.len() == 0 {
            world.advance(2);
        }
        if let Err(bucket) = ask(&world, &phones[at % phones.len()], &format!("203.0.113.{}", at % 50)).await {
            *refused.entry(bucket).or_default() += 1;
        }
    }
    let out = world.outbox.messages_after(0).1;
    println!("1,000 asked for, {out} messages went out under the default budgets, refused: {refused:?}");
    // A sixth of the 600 a day. These phones were never verified: the accounts are imported.
    assert_eq!(out, 100, "the hour's budget of a country");
    assert!(refused.is_empty(), "no response tells: {refused:?}");
    // The breaker is loud.
    let counted = world.metrics.take();
    assert_eq!(counted.iter().filter(|line| line["MessagesBudgetReached"] == 1).count(), 900);
    // Another country goes on, and so does this one after an hour.
    let elsewhere = "+998901230000".to_owned();
    accounts(&world, std::slice::from_ref(&elsewhere)).await;
    ask(&world, &elsewhere, "192.0.2.200").await.unwrap();
    world.advance(3600);
    ask(&world, &phones[0], "192.0.2.201").await.unwrap();
    assert_eq!(world.outbox.messages_after(0).1, 102);
}

/// A stranger must not be able to close a breaker for everybody by asking for what is not even sent.
#[tokio::test]
async fn numbers_without_accounts_use_up_no_budget_that_others_share() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_COUNTRY", "20"), ("LIMIT_MESSAGES_TOTAL", "20")]);
    let person = world.person().await;
    for at in 0..60 {
        ask(&world, &format!("+2010123{at:05}"), &format!("203.0.113.{}", at % 20)).await.unwrap();
    }
    assert!(world.items("LIMIT#messages-country").is_empty() && world.items("LIMIT#messages-total").is_empty());
    person.request_reset().await.expect(202);
    // Nor does anybody use up messages of a phone, which it could not be sent.
    assert_eq!(world.items("LIMIT#messages-phone").len(), 1);
}

#[tokio::test]
async fn a_breaker_tells_a_sign_up_when_it_opens_and_a_reset_nothing() {
    let world = World::with(&[("LIMIT_MESSAGES_TOTAL", "12"), ("REQUIRE_ACTIVATION", "true")]);
    let (first, second) = (world.visitor(PHONE), world.visitor(OTHER_PHONE));
    first.register().await.expect(202);
    second.register().await.expect(202);
    assert!(world.visitor("01512345678").register().await.expect_limit("messages-total") <= 3600);
    assert_eq!(world.outbox.messages().len(), 2);
    // Resets have a budget of their own, and one that is used up does not show.
    let phone = "+201012345679".to_owned();
    accounts(&world, std::slice::from_ref(&phone)).await;
    let person = world.visitor(&phone);
    let mut told = Vec::new();
    for person in [&person, &person, &person, &world.visitor("01012345670")] {
        told.push(person.request_reset().await.expect(202).fingerprint());
        world.advance(2);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_request_that_one_budget_refuses_uses_no_other_up() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1")]);
    let person = world.person().await;
    for _ in 0..5 {
        person.request_reset().await;
        world.advance(2);
    }
    for bucket in ["messages-phone", "messages-country", "messages-total"] {
        assert_eq!(world.items(&format!("LIMIT#{bucket}"))[0]["uses"]["N"], "1", "{bucket}");
    }
}

#[tokio::test]
async fn codes_are_counted_by_country_when_they_go_out_and_when_they_come_back() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    person.verify_reset(&code, NEW_PASSWORD).await.expect(204);
    let [sent, verified, notice] = &world.metrics.take()[..] else { panic!("three counts") };
    assert_eq!(notice["NoticesSent"], 1, "of the reset");
    assert_eq!((&sent["CodesSent"], &sent["Country"]), (&json!(1), &json!("EG")));
    assert_eq!((&verified["CodesVerified"], &verified["Country"]), (&json!(1), &json!("EG")));
    // As CloudWatch reads it: of all, since it asks a price for each country.
    let metric = &sent["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(metric["Dimensions"], json!([[]]));
    assert_eq!(metric["Metrics"], json!([{"Name": "CodesSent", "Unit": "Count"}]));
    assert_eq!(sent["_aws"]["Timestamp"], 1_800_000_000_000_u64);
    let lines = format!("{sent}{verified}");
    assert!(!lines.contains("1012345678") && !lines.contains(&code), "no number, no code");
}

#[tokio::test]
async fn counts_are_metrics_of_each_country_and_limit_if_that_is_wanted() {
    let world = World::with(&[("METRICS_IN_DETAIL", "true"), ("LIMIT_MESSAGES_PER_COUNTRY", "1")]);
    let person = world.person().await;
    person.ask_code().await.expect(202);
    world.advance(2);
    person.ask_code().await.expect(202);
    let dimensions = |line: &Value| line["_aws"]["CloudWatchMetrics"][0]["Dimensions"].clone();
    let counted = world.metrics.take();
    let of = |name: &str| dimensions(counted.iter().find(|line| !line[name].is_null()).unwrap());
    assert_eq!(of("CodesSent"), json!([[], ["Country"]]));
    assert_eq!(of("MessagesWithheld"), json!([[], ["Bucket"]]));
}

#[tokio::test]
async fn a_message_without_a_code_is_not_counted_as_one() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.verify_own_phone().await;
    world.metrics.take();
    person.move_to(OTHER_PHONE).await;
    assert_eq!(world.outbox.messages().len(), 3, "two codes, and the notice to the old phone");
    let counted = world.metrics.take();
    assert_eq!(counted.iter().filter(|line| line["CodesSent"] == 1).count(), 1);
    assert_eq!(counted.iter().filter(|line| line["CodesVerified"] == 1).count(), 1);
    assert_eq!(counted.iter().filter(|line| line["NoticesSent"] == 1).count(), 1);
}

#[tokio::test]
async fn a_test_number_has_one_code_gets_no_message_and_uses_nothing_up() {
    let variables = [("TEST_NUMBERS", "+201000000001=042424, 01000000002=135790"), ("LIMIT_MESSAGES_PER_PHONE", "1")];
    let world = World::with(&variables);
    let tester = world.person_with_phone("01000000001").await;
    for _ in 0..3 {
        tester.request_reset().await.expect(202);
        tester.verify_reset("135790", NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
        tester.verify_reset("042424", NEW_PASSWORD).await.expect(204);
        world.advance(2);
    }
    assert!(world.outbox.messages().is_empty() && world.items("LIMIT#sms").is_empty());
    assert!(world.metrics.take().is_empty(), "nor is it counted: nothing was sent, so nothing came back");
    // Its guesses are counted like anybody's.
    tester.request_reset().await.expect(202);
    for _ in 0..5 {
        tester.verify_reset("135790", NEW_PASSWORD).await.expect(400);
    }
    tester.verify_reset("042424", NEW_PASSWORD).await.expect(400);
}

#[tokio::test]
async fn a_test_number_can_be_activated_as_often_as_tests_run_and_is_never_told_anything() {
    let variables = [("TEST_NUMBERS", "+201000000001=042424"), ("REQUIRE_ACTIVATION", "true")];
    let world = World::with(&variables);
    for _ in 0..3 {
        let tester = world.visitor("+201000000001");
        tester.register().await.expect(202);
        tester.activate("042424").await.expect(201);
        tester.sign_in().await;
        tester.change_password(NEW_PASSWORD).await.expect(200);
        tester.delete_account().await.expect(204);
        world.advance(2);
    }
    assert!(world.items("LIMIT#otp-phone").is_empty() && world.items("LIMIT#sms").is_empty());
    assert!(world.outbox.messages().is_empty());
}

/// Sign-up by code needs no account, so every number is one that a message would go to.
#[tokio::test]
async fn a_thousand_codes_to_sign_in_with_from_fifty_addresses_to_two_hundred_numbers() {
    let world = World::new();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for at in 0..1000 {
        if at % 200 == 0 {
            world.advance(2);
        }
        let stranger = world.visitor(&format!("+2010123{:05}", at % 200)).at(&format!("203.0.113.{}", at % 50));
        let reply = stranger.ask_code().await;
        if reply.status != 202 {
            *refused.entry(reply.body["bucket"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    let out = world.outbox.messages_after(0).1;
    println!("1,000 codes to sign in with asked for, {out} messages went out, refused: {refused:?}");
    assert_eq!((out, refused), (100, BTreeMap::new()));
    // One phone gets ten a day, and one address sixty an hour, whatever is asked for.
    let world = World::new();
    for at in 0..100 {
        world.advance(2);
        let phone = if at < 20 { "+201012300000".to_owned() } else { format!("+2010123{at:05}") };
        world.visitor(&phone).ask_code().await.expect(202);
    }
    assert_eq!(world.outbox.messages_after(0).1, 10 + 29, "ten to the one, and thirty different ones an hour");
    let to_one = world.outbox.messages().iter().filter(|message| message.to.as_e164() == "+201012300000").count();
    assert!(to_one <= 10, "{to_one}");
}
