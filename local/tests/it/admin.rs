//! `cargo run -p admin`, as far as it works on the table: what operators do with accounts, and what they are told.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use admin::{
    doctor::{self, Finding},
    messages,
    users::{self, Action, Desk},
};
use latchkey::{config::Config, flows, keyring::Keyring, store::Store};
use local::emulator::Fault;
use operator::Connection;
use serde_json::{Value, json};

use crate::harness::{E164, NEW_PASSWORD, OTHER_PHONE, PHONE, RESET_PASSWORD, TEMPLATE, THIRD_PHONE, World};

/// What an operator of a deployed stack sets, by the stack's output.
const SETTINGS: [(&str, &str); 4] = [
    ("SECRET_KEY_ARN", "SecretKey"),
    ("SIGNING_KEYS_ARN", "SigningKeys"),
    ("SMS_CREDENTIALS_ARN", "SmsCredentials"),
    ("SMS_PROVIDER", "sns"),
];

/// Reaches a world's table as an operator does, with some settings set otherwise.
pub(crate) fn connection(world: &World, settings: &[(&str, &str)]) -> Connection {
    let mut variables = HashMap::from([("TABLE_NAME".to_owned(), TEMPLATE.table.name.clone())]);
    let settings = SETTINGS.iter().chain(settings);
    variables.extend(settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let (config, clients) = (Config::from_variables(&variables).unwrap(), world.emulator.clients_of_operator());
    let store = Store::new(clients.dynamodb.clone(), config.table_name.clone());
    Connection { store, clients, config, is_local: false, operator: "aws:AKIDEXAMPLE".to_owned() }
}

/// What was said to the operator, or why nothing was done; and the events that were kept.
pub(crate) async fn act(world: &World, action: Action, phone: &str) -> (Result<String, String>, Vec<Value>) {
    act_with(world, action, phone, None).await
}

/// The same, on an account named by phone or identifier, with the phone that a parked one gets.
async fn act_with(
    world: &World,
    action: Action,
    whom: &str,
    new_phone: Option<&str>,
) -> (Result<String, String>, Vec<Value>) {
    let Connection { store, clients, config, operator, .. } = connection(world, &[]);
    let keyring = Keyring::new(store.clone(), clients.secrets, &config.keys);
    let secret = keyring.secret(world.clock.now()).await.unwrap();
    let new_phone = new_phone.map(|typed| users::parse(&config, typed).unwrap());
    let desk = Desk {
        store: &store,
        config: &config,
        secret: Some(&secret),
        new_phone: new_phone.as_ref(),
        operator: &operator,
        now: world.clock.now(),
    };
    let events = Mutex::new(Vec::new());
    let home = users::find(&store, &config, whom).await.unwrap();
    let keep = |line: &str| events.lock().unwrap().push(serde_json::from_str(line).unwrap());
    let said = users::act(desk, action, &home, keep).await;
    (said.map_err(|error| error.to_string()), events.into_inner().unwrap())
}

fn results(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["result"].as_str().unwrap()).collect()
}

/// Does something that can be done.
async fn done(world: &World, action: Action) -> String {
    act(world, action, PHONE).await.0.unwrap()
}

#[tokio::test]
async fn an_account_is_shown_with_its_sessions_and_without_secrets() {
    let world = World::new();
    let person = world.person_with_factor().await;
    person.mistyping().login().await.expect(401);
    let (said, events) = act(&world, Action::Show, "+20 10-1234-5678").await;
    let said = said.unwrap();
    for part in [
        "phone           +201012345678",
        "state           enabled",
        "second factor   on since 2027-01-15T08:00:00Z, 10 recovery codes left",
        "failed sign-ins 1 since the last one that succeeded",
        "sessions        1",
        "203.0.113.7, last used 2027-01-15T08:00:00Z",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    let password_hash = world.item("PHONE#", "CREDENTIAL")["password_hash"]["S"].as_str().unwrap().to_owned();
    for secret in [&password_hash, &person.access_token(), &person.recovery_codes()[0]] {
        assert!(!said.contains(secret));
    }
    assert_eq!(results(&events), ["success"], "looking changes nothing, so there is nothing to announce");
}

#[tokio::test]
async fn a_disabled_account_is_closed_on_every_way_and_nobody_is_told() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let code = person.reset_code().await;
    let said = done(&world, Action::Disable).await;
    assert!(said.starts_with("Disabled"), "{said}");

    person.me().await.expect_problem(401, "invalid-token");
    person.refresh().await.expect_problem(401, "invalid-token");
    // The right password gets what a wrong one gets, and what an unknown phone gets.
    let refused = person.login().await.expect_problem(401, "invalid-credentials");
    assert!(refused.fingerprint() == person.mistyping().login().await.fingerprint());
    assert!(refused.fingerprint() == world.visitor(OTHER_PHONE).login().await.fingerprint());
    // A code from before is dead; another is not sent, and the answer is as ever.
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    let sent = world.outbox.messages().len();
    world.advance(60);
    person.request_reset().await.expect(202);
    assert_eq!(world.outbox.messages().len(), sent);
    // The phone is not free.
    world.visitor(PHONE).typing(NEW_PASSWORD).register().await.expect_problem(409, "phone-taken");
    let other = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    other.change_phone_verify(&other.code_for(PHONE).await).await.expect_problem(409, "phone-taken");
}

#[tokio::test]
async fn the_audit_log_says_why_the_right_password_was_refused_and_of_a_wrong_one_that_it_was_wrong() {
    let world = World::new();
    let person = world.person().await;
    done(&world, Action::Disable).await;
    world.audit_log.take();
    person.login().await.expect(401);
    person.mistyping().login().await.expect(401);
    let reasons: Vec<_> = world.audit_log.take().iter().map(|line| line["reason"].clone()).collect();
    assert_eq!(reasons, [json!("disabled"), Value::Null]);
}

#[tokio::test]
async fn a_login_that_waits_for_its_second_step_is_over_when_the_account_is_disabled() {
    let world = World::new();
    let person = world.person_with_factor().await;
    person.first_step().await;
    done(&world, Action::Disable).await;
    person.login_mfa().await.expect_problem(401, "invalid-token");
    // Nor does it go on when the account is enabled again.
    done(&world, Action::Enable).await;
    person.login_mfa().await.expect_problem(401, "invalid-token");
    person.first_step().await;
    person.login_mfa().await.expect(200);
}

#[tokio::test]
async fn with_activation_the_owner_of_a_disabled_account_is_told_that_there_is_one() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    let person = world.person().await;
    done(&world, Action::Disable).await;
    world.advance(60);
    person.typing(NEW_PASSWORD).register().await.expect(202);
    assert!(world.outbox.messages()[0].text.contains("already"), "no code, but a word");
}

#[tokio::test]
async fn an_enabled_account_is_as_it_was_but_for_its_sessions() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let before = person.me().await.expect(200).body;
    done(&world, Action::Disable).await;
    assert!(done(&world, Action::Show).await.contains("disabled since 2027-01-15T08:00:00Z"));
    // Twice is as once.
    world.advance(60);
    done(&world, Action::Disable).await;
    assert!(done(&world, Action::Show).await.contains("disabled since 2027-01-15T08:00:00Z"));
    done(&world, Action::Enable).await;
    person.me().await.expect(401);
    person.sign_in().await;
    assert_eq!(person.me().await.expect(200).body, before);
    person.reset_password(RESET_PASSWORD).await;
}

/// A reset, or another change that was under way, must not open what was closed meanwhile.
#[tokio::test]
async fn nothing_that_is_under_way_opens_a_disabled_account() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.verify_phone().await.expect(202);
    let verify = person.code();
    world.advance(2);
    let change = person.code_for(OTHER_PHONE).await;
    done(&world, Action::Disable).await;
    person.confirm_phone(&verify).await.expect(401);
    person.change_phone_verify(&change).await.expect(401);
    person.change_password(NEW_PASSWORD).await.expect(401);
    person.login().await.expect(401);
    assert!(world.items("PHONE#+201112345678").iter().all(|item| item["sk"]["S"] != "CREDENTIAL"));
}

#[tokio::test]
async fn sessions_end_and_the_password_stays() {
    let world = World::new();
    let person = world.signed_in_person().await;
    done(&world, Action::EndSessions).await;
    person.me().await.expect(401);
    person.refresh().await.expect(401);
    person.login().await.expect(200);
}

#[tokio::test]
async fn who_has_lost_authenticator_and_recovery_codes_gets_in_again() {
    let world = World::new();
    let person = world.signed_in_person().await;
    assert_eq!(act(&world, Action::ResetMfa, PHONE).await.0.unwrap_err(), "the account has no second factor");
    person.switch_factor_on().await;
    person.first_step().await;
    done(&world, Action::ResetMfa).await;
    person.me().await.expect(401);
    person.with_recovery_code(0).login_mfa().await.expect(401);
    person.login().await.expect(200);
    assert_eq!(person.me().await.expect(200).body["mfa_enabled"], false);
    person.switch_factor_on().await;
}

#[tokio::test]
async fn a_deleted_account_is_gone_and_its_phone_is_free() {
    let world = World::new();
    let person = world.signed_in_person().await;
    done(&world, Action::Delete).await;
    person.me().await.expect(401);
    person.login().await.expect(401);
    world.visitor(PHONE).typing(NEW_PASSWORD).registered().await.signed_in().await;
}

#[tokio::test]
async fn a_phone_without_an_account_is_named_and_the_search_is_on_record() {
    let world = World::new();
    for action in [Action::Show, Action::Disable, Action::Delete] {
        let (said, events) = act(&world, action, PHONE).await;
        assert_eq!((said.unwrap_err().as_str(), results(&events)), ("no account has this phone", vec!["not-found"]));
    }
    // A ghost is no account.
    world.visitor(PHONE).login().await.expect(401);
    assert!(act(&world, Action::Show, PHONE).await.0.is_err());
}

#[tokio::test]
async fn whatever_is_done_is_on_record_before_and_after_it_without_the_phone() {
    let world = World::new();
    let person = world.person().await;
    let user = world.item("PHONE#", "CREDENTIAL")["user_id"]["S"].clone();
    let (_, events) = act(&world, Action::EndSessions, PHONE).await;
    assert_eq!(results(&events), ["begun", "success"]);
    let kept = world.items("AUDIT#");
    assert_eq!(kept.len(), 2);
    for (item, event) in kept.iter().zip(&events) {
        assert_eq!(item["pk"]["S"], "AUDIT#2027-01");
        assert!(!item.to_string().contains(&E164[3..]));
        assert_eq!((&event["event"], &event["user"]), (&json!("operator-end-sessions"), &user));
        assert_eq!((&event["operator"], &event["address"]), (&json!("aws:AKIDEXAMPLE"), &Value::Null));
        assert_eq!(event["phone"].as_str().unwrap().len(), 22);
        let line = |item: &Value| serde_json::from_str::<Value>(item["audit_line"]["S"].as_str().unwrap()).unwrap();
        assert!(kept.iter().any(|item| line(item) == *event));
    }
    // As the functions hash it, so that both logs can be read together.
    world.audit_log.take();
    person.login().await.expect(200);
    assert_eq!(world.audit_log.take()[0]["phone"], events[0]["phone"]);
    // For longer than the log, and not for ever.
    world.advance(399 * 86_400);
    world.collect_garbage();
    assert_eq!(world.items("AUDIT#").len(), 2);
    world.advance(86_400);
    world.collect_garbage();
    assert!(world.items("AUDIT#").is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_that_cannot_be_recorded() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.emulator.faults().inject("PutItem", Fault::LostRequest, 100);
    for action in [Action::Disable, Action::EndSessions, Action::Delete] {
        assert_eq!(act(&world, action, PHONE).await.0.unwrap_err(), "the table is not available");
    }
    world.emulator.faults().clear();
    person.me().await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_and_failed_is_recorded_as_that() {
    let world = World::new();
    let person = world.person().await;
    world.emulator.faults().inject("TransactWriteItems", Fault::LostRequest, 100);
    for action in [Action::Disable, Action::EndSessions, Action::Delete] {
        let (said, events) = act(&world, action, PHONE).await;
        assert_eq!(said.unwrap_err(), "the table is not available");
        assert_eq!(results(&events), ["begun", "temporarily-unavailable"]);
    }
    world.emulator.faults().clear();
    person.login().await.expect(200);
}

#[tokio::test]
async fn the_table_is_counted() {
    let world = World::new();
    world.person_with_factor().await;
    world.person_with_phone(OTHER_PHONE).await;
    world.person_with_phone(THIRD_PHONE).await;
    world.person_with_phone("01512345678").await.signed_in().await;
    act(&world, Action::Disable, OTHER_PHONE).await.0.unwrap();
    act(&world, Action::Delete, THIRD_PHONE).await.0.unwrap();
    // A ghost.
    world.visitor("01012345679").login().await.expect(401);
    let read = std::cell::Cell::new(0);
    let stats = connection(&world, &[]).store.stats(world.clock.now(), |items| read.set(items)).await.unwrap();
    assert_eq!((read.get(), read.get()), (stats.items, world.items("").len()), "every segment, each item once");
    assert_eq!((stats.accounts, stats.disabled, stats.tombstones), (3, 1, 1));
    assert_eq!((stats.with_second_factor, stats.imported, stats.with_legacy_hash), (1, 0, 0));
    assert_eq!(
        stats.verified,
        world.items("USER#").iter().filter(|item| item["phone_verified_at"]["N"].is_string()).count()
    );
    assert_eq!((stats.sessions, stats.items), (3, world.items("").len()), "one that a second factor replaced");
}

#[tokio::test]
async fn a_table_of_several_pages_is_counted_once() {
    let world = World::new();
    world.person().await;
    for number in 0..2_345 {
        world.put_item(&json!({"pk": {"S": format!("LIMIT#pages#{number}")}, "sk": {"S": "0"}}));
    }
    let pages = std::cell::RefCell::new(Vec::new());
    let progress = |items| pages.borrow_mut().push(items);
    let stats = connection(&world, &[]).store.stats(world.clock.now(), progress).await.unwrap();
    assert_eq!((stats.accounts, stats.items), (1, world.items("").len()));
    assert!(pages.borrow().contains(&1_000) && pages.borrow().contains(&2_000), "{:?}", pages.borrow());
}

/// What is not in order, by name.
pub(crate) async fn examined(world: &World, settings: &[(&str, &str)]) -> Vec<(&'static str, Finding)> {
    let mut found = doctor::examine(&connection(world, settings), world.clock.now()).await;
    // The emulator has neither backups nor protection, and its answers have no date.
    let expected = |what: &str, finding: &Finding| match (what, finding) {
        ("table", Finding::Doubtful(why)) => why.contains("deletion protection"),
        ("backups" | "clock", Finding::Skipped(_)) | (_, Finding::Fine(_)) => true,
        _ => false,
    };
    found.retain(|(what, finding)| !expected(what, finding));
    found
}

#[tokio::test]
async fn the_doctor_finds_nothing_where_all_is_well() {
    let world = World::new();
    world.emulator.sns().set_account(false, Some(200));
    assert_eq!(examined(&world, &[]).await, []);
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong() {
    /// The one thing that was found, and what was said of it.
    #[track_caller]
    fn only(found: &[(&'static str, Finding)]) -> (&'static str, Finding) {
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }
    fn is_wrong(finding: &Finding, part: &str) -> bool {
        matches!(finding, Finding::Wrong(why) if why.contains(part))
    }
    fn is_doubtful(finding: &Finding, part: &str) -> bool {
        matches!(finding, Finding::Doubtful(why) if why.contains(part))
    }
    let world = World::new();
    let sns = world.emulator.sns();
    sns.set_account(false, Some(200));

    let (what, finding) = only(&examined(&world, &[("SECRET_KEY_ARN", "Nothing")]).await);
    assert!(what == "secret key" && is_wrong(&finding, "SECRET_KEY_ARN"), "{finding:?}");
    let (what, finding) = only(&examined(&world, &[("SIGNING_KEYS_ARN", "Nothing")]).await);
    assert!(what == "signing key" && is_wrong(&finding, "SIGNING_KEYS_ARN"), "{finding:?}");

    sns.set_account(true, Some(200));
    let (what, finding) = only(&examined(&world, &[]).await);
    assert!(what == "sns sandbox" && is_wrong(&finding, "sandbox"), "{finding:?}");
    for (limit, part) in [(Some(1), "1 US dollar"), (None, "SNS reports none")] {
        sns.set_account(false, limit);
        let (what, finding) = only(&examined(&world, &[]).await);
        assert!(what == "sns spend limit" && is_doubtful(&finding, part), "{finding:?}");
    }

    // Credentials of another provider than the one that is set; they are not repeated.
    world.emulator.secrets().lend("SmsCredentials", json!({"api_key": "not-to-be-told"}).to_string());
    let twilio = [("SMS_PROVIDER", "twilio"), ("SMS_SENDER_ID", "Acme")];
    let found = examined(&world, &twilio).await;
    let (_, finding) = found.iter().find(|(what, _)| *what == "text messages").unwrap();
    assert!(is_wrong(finding, "docs/sms.md"), "{finding:?}");
    assert!(!format!("{found:?}").contains("not-to-be-told"));
}

#[tokio::test]
async fn the_doctor_sees_keys_that_are_missing_old_or_not_public() {
    let world = World::without_keys(&[]);
    world.emulator.sns().set_account(false, Some(200));
    let found: Vec<_> = examined(&world, &[]).await.into_iter().map(|(what, _)| what).collect();
    assert_eq!(found, ["public keys", "signing key"]);

    let world = World::new();
    world.emulator.sns().set_account(false, Some(200));
    world.clock.advance(Duration::from_hours(24 * 121));
    let found = examined(&world, &[]).await;
    assert!(matches!(&found[..], [("public keys", Finding::Doubtful(why))] if why.contains("rotated")), "{found:?}");

    let world = World::new();
    world.emulator.sns().set_account(false, Some(200));
    let mut keys = world.item("KEYS", "JWKS");
    keys["public_keys"]["S"] = json!("[]");
    world.put_item(&keys);
    let found: Vec<_> = examined(&world, &[]).await.into_iter().map(|(what, _)| what).collect();
    assert_eq!(found, ["public keys", "signing key"]);
}

#[tokio::test]
async fn accounts_are_listed_and_found_by_their_id() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let other = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    let Connection { store, config, .. } = connection(&world, &[]);
    let id = person.me().await.expect(200).body["id"].as_str().unwrap().to_owned();

    let listed = users::list(&store, 10).await.unwrap();
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let line = listed.lines().find(|line| line.contains(&id)).unwrap();
    assert!(line.starts_with(E164) && line.ends_with("on"), "{line}");
    let listed = users::list(&store, 1).await.unwrap();
    assert_eq!(listed.lines().count(), 3, "a header, an account, and that there are more: {listed}");
    assert!(listed.ends_with("There are more accounts: raise --limit."));

    for typed in [id.clone(), id.to_uppercase(), PHONE.to_owned()] {
        assert_eq!(users::find(&store, &config, &typed).await.unwrap().number().as_e164(), E164, "{typed}");
    }
    let unknown = users::find(&store, &config, "00000000-0000-4000-8000-000000000000").await.unwrap_err();
    assert!(unknown.to_string().starts_with("no account has the id 0000"), "{unknown}");
    let id = other.me().await.expect(200).body["id"].as_str().unwrap().to_owned();
    other.delete_account().await.expect(204);
    assert!(users::find(&store, &config, &id).await.is_err(), "a tombstone is no account");
    assert_eq!(users::list(&store, 10).await.unwrap().lines().count(), 2);
}

/// What operators do about numbers that have changed hands.
#[tokio::test]
async fn parked_accounts_are_listed_shown_and_given_a_phone_again() {
    let world = World::new();
    let owner = world.person_by_code().await;
    let id = owner.me().await.expect(200).text("id").to_owned();
    let newcomer = world.visitor(PHONE);
    newcomer.comes_back_late().await;
    let Connection { store, .. } = connection(&world, &[]);
    let parked = async || users::list_parked(&store, 10, world.clock.now()).await.unwrap();
    assert_eq!(parked().await.lines().count(), 1, "nobody is parked yet");
    newcomer.start_anew().await.expect(200);
    assert!(parked().await.contains(&id) && parked().await.contains(E164));
    let shown = act_with(&world, Action::Show, &id, None).await.0.unwrap();
    for part in ["phone           none", "former phone    +201012345678", "parked until    2027-10-13T08:00:02Z"] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    // Its phone is somebody else's, until they leave it.
    let (said, events) = act_with(&world, Action::Unpark, &id, None).await;
    assert_eq!(said.unwrap_err(), "the phone has another account: name one that has none with --phone");
    assert_eq!(results(&events), ["begun", "phone-taken"]);
    let (said, _) = act_with(&world, Action::ConfirmOwner, &id, None).await;
    assert_eq!(said.unwrap_err(), "the account has no phone: `user unpark` gives it one");
    let (said, events) = act_with(&world, Action::Unpark, &id, Some(OTHER_PHONE)).await;
    assert!(said.unwrap().contains("+201112345678"));
    assert_eq!((results(&events), &events[1]["user"]), (vec!["begun", "success"], &json!(id)));
    assert_eq!(events[1]["event"], "operator-unpark");
    let (said, _) = act_with(&world, Action::Unpark, &id, None).await;
    assert_eq!(said.unwrap_err(), "the account is not parked");
    assert_eq!(parked().await.lines().count(), 1);
    // The owner has the new phone.
    let owner = world.visitor(OTHER_PHONE);
    owner.sign_in_by_code().await;
    assert_eq!(owner.me().await.expect(200).text("id"), id);
    world.check_table("after an account was given a phone again");
}

/// An owner who has nothing but the phone asks an operator before anybody starts anew.
#[tokio::test]
async fn an_owner_whom_an_operator_knows_is_not_asked_again() {
    let world = World::new();
    let owner = world.person_by_code().await;
    owner.comes_back_late().await;
    let (said, events) = act(&world, Action::ConfirmOwner, PHONE).await;
    assert_eq!(
        (said.unwrap().as_str(), results(&events)),
        ("Confirmed: a code to its phone opens the account.", vec!["begun", "success"])
    );
    assert_eq!(events[1]["event"], "operator-confirm-owner");
    // What was offered before is over: the account has an owner.
    owner.start_anew().await.expect_problem(401, "invalid-token");
    world.advance(2);
    owner.on_another_device().sign_in_by_code().await;
}

#[tokio::test]
async fn a_test_message_goes_out_by_the_configured_provider_and_its_outcome_is_told() {
    let world = World::new();
    let settings = [("SMS_PROVIDER", "log"), ("SERVICE_NAME", "Acme")];
    let connection = connection(&world, &settings);
    let phone = connection.config.phones.parse(PHONE).unwrap();
    let (was_sent, said) = messages::test(&connection, phone, world.clock.now()).await.unwrap();
    assert!(!was_sent && said.contains("Acme: this is a test message"), "{said}");
}

/// Known devices wait for their own wrong passwords, and have messages of their own.
#[tokio::test]
async fn an_unlocked_account_keeps_no_known_device_waiting() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.verify_own_phone().await;
    world.advance(2);
    let lost = person.on_another_device().signed_in().await;
    person.end_session(&person.other_session().await).await.expect(204);
    for _ in 0..6 {
        person.mistyping().login_as_known().await.expect_problem(401, "invalid-credentials");
    }
    let token = person.device_token();
    for _ in 0..11 {
        person.ask_code_with(&token).await.expect(202);
        person.on_another_device().request_reset_with(&token).await.expect(202);
        world.advance(1);
    }
    let sent = world.outbox.messages_after(0).1;
    for _ in 0..6 {
        person.mistyping().login_as_known().await;
    }
    person.login_as_known().await.expect_limit("login-device");

    done(&world, Action::Unlock).await;
    person.ask_code_with(&token).await.expect(202);
    assert_eq!(world.outbox.messages_after(0).1, sent + 1);
    person.login_as_known().await.expect(200);
    // A forgotten device stays so.
    for _ in 0..7 {
        world.visitor(PHONE).mistyping().login().await;
    }
    lost.login_as_known().await.expect_limit("login-phone");
}

/// Whoever makes messages fail uses up the requests for a phone, or for an account, as well as the messages.
#[tokio::test]
async fn an_unlocked_account_may_ask_for_messages_again() {
    let world = World::new();
    let person = world.signed_in_person().await;
    // The reset verifies the phone.
    person.reset_password(RESET_PASSWORD).await;
    person.sign_in().await;
    world.advance(120);
    let Connection { store, clients, config, .. } = connection(&world, &[]);
    let secret = Keyring::new(store.clone(), clients.secrets, &config.keys).secret(world.clock.now()).await.unwrap();
    let phone = config.phones.parse(PHONE).unwrap();
    let user = store.account_by_phone(&phone).await.unwrap().unwrap().0.user;
    let (of_phone, of_account) = (flows::phone_subjects(&secret, &phone), flows::account_subject(&secret, user));
    let mut limits: Vec<_> = of_phone.iter().map(|subject| config.limits.requests_to(subject)).collect();
    limits.extend([config.limits.messages_of(&of_account), config.limits.requests_of(&of_account)]);
    for limit in &limits {
        while store.charge(*limit, world.clock.now()).await.unwrap().is_ok() {}
    }
    let sent = world.outbox.messages().len();
    person.request_reset().await.expect(202);
    assert_eq!(world.outbox.messages().len(), sent, "the requests are used up");
    person.change_phone(OTHER_PHONE).await.expect(429);

    done(&world, Action::Unlock).await;
    world.advance(120);
    person.request_reset().await.expect(202);
    person.change_phone(OTHER_PHONE).await.expect(202);
    assert_eq!(world.outbox.messages().len(), sent + 2);
}
