//! Use cases of the store in an order that requests cannot be made to run in, and the edge around handlers.

use std::{sync::Arc, time::Duration};

use latchkey::{
    ApiError, App, Context,
    app::Witness,
    base::{
        id::{ChallengeId, SessionId},
        kid::Kid,
        time::Timestamp,
    },
    config::Config,
    domain::{
        otp::{Binding, OtpCode, OtpMac, Purpose},
        password::{Hasher, PasswordHash},
        phone::Phone,
        proof::{Authentication, SignInMethod},
        repeat::RepeatMac,
    },
    http::{
        context::{ShownProofs, SourceAddress},
        cors::Page,
    },
    log::audit::Audit,
    runtime::respond,
    store::{
        Attempt, Bucket, Change, Charges, CodeTry, CodeUse, Credential, Failure, Home, Limit, LoginCompletion, NewCode,
        NewOwedNotice, NewSession, Renewal, SpentCode, Store,
    },
    tokens::{refresh::SessionSalt, secret::Versions},
};

use crate::harness::{E164, NEW_PASSWORD, TEMPLATE, World};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// The store with the rights of this function.
fn store(world: &World, function: &str) -> Store {
    Store::new(world.emulator.clients_for(TEMPLATE.function(function).unwrap()).dynamodb, TEMPLATE.table.name.clone())
}

fn phone() -> Phone {
    Phone::from_stored(E164).unwrap()
}

/// Where the account lies that has the phone.
fn home() -> Home {
    Home::Phone(phone())
}

/// The hash of a code that somebody typed.
fn guess() -> RepeatMac {
    RepeatMac::from_stored("guess".to_owned())
}

/// What a login has read when it begins to compare.
async fn credential(world: &World) -> Credential {
    match store(world, "login").spend_login_attempt(&phone(), NOW).await.unwrap() {
        Attempt::Admitted { with, .. } => with.unwrap(),
        Attempt::LimitReached(_) | Attempt::Nothing => panic!("the attempt is not admitted"),
    }
}

fn session(credential: &Credential) -> NewSession {
    NewSession {
        user: credential.user,
        id: SessionId::generate().unwrap(),
        kid: Kid::FIRST,
        salt: SessionSalt::generate().unwrap(),
        epoch: credential.epoch,
        device: None,
        address: "203.0.113.7".to_owned(),
        created_at: NOW,
        authentication: Authentication::new(SignInMethod::Password, false, NOW),
        ends_at: NOW.plus(Duration::from_hours(1)),
        now: NOW,
    }
}

async fn lives(world: &World, credential: &Credential, session: SessionId) -> bool {
    let state = store(world, "me").session_state(credential.user, session).await.unwrap();
    state.live(credential.epoch, NOW).is_some()
}

#[tokio::test]
async fn a_login_that_a_reset_outran_opens_nothing_and_changes_nothing() {
    let world = World::new();
    let person = world.person().await;
    // A login has read the old hash and compares it …
    let old = credential(&world).await;
    // … while a reset is committed …
    person.reset_password(NEW_PASSWORD).await;
    let stored = world.item("PHONE#", "CREDENTIAL")["password_hash"].clone();
    // … and is through now, with the old password hashed anew.
    let rehashed = PasswordHash::from_stored("$argon2id$of-the-old-password".to_owned());
    let session = session(&old);
    let id = session.id;
    let completed = store(&world, "login").complete_login(&home(), &old, Some(&rehashed), None, session).await.unwrap();

    assert_eq!(completed, LoginCompletion::Overtaken);
    assert!(world.item("PHONE#", "CREDENTIAL")["password_hash"] == stored, "the new password stays");
    assert!(!lives(&world, &old, id).await, "the session is dead on arrival");
    person.typing(NEW_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn a_login_that_nothing_outran_lives() {
    let world = World::new();
    world.person().await;
    let credential = credential(&world).await;
    let session = session(&credential);
    let id = session.id;
    let completed = store(&world, "login").complete_login(&home(), &credential, None, None, session).await.unwrap();
    assert_eq!(completed, LoginCompletion::Done);
    assert!(lives(&world, &credential, id).await);
}

#[tokio::test]
async fn a_change_of_password_that_a_reset_outran_changes_nothing() {
    let world = World::new();
    let person = world.person().await;
    let old = credential(&world).await;
    person.reset_password(NEW_PASSWORD).await;
    let other = PasswordHash::from_stored("$argon2id$another".to_owned());
    let renewal = Renewal { old: SessionId::generate().unwrap(), new: Some(session(&old)), repeat: None };
    let store = store(&world, "change-password");
    let changed = store.change_password(&home(), (&old).into(), &other, renewal, NOW).await.unwrap();
    assert_eq!(changed, Change::Overtaken);
    person.typing(NEW_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn a_right_code_that_a_change_of_password_outran_changes_nothing() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.request_reset().await.expect(202);
    let verifier = store(&world, "verify-reset");
    let attempt = verifier.spend_code_attempt(&phone(), Purpose::Reset, &guess(), NOW).await.unwrap();
    let Attempt::Admitted { with: CodeTry::Open(code), .. } = attempt else { panic!("the code is open") };
    person.change_password(NEW_PASSWORD).await.expect(200);
    let other = PasswordHash::from_stored("$argon2id$another".to_owned());
    let (challenge, _) = code.codes[0];
    let code = code.entered(challenge, None).unwrap();
    let effect = RepeatMac::from_stored("effect".to_owned());
    let account = code.account.unwrap();
    let used = SpentCode { purpose: Purpose::Reset, code: &code, effect: &effect, pseudonym: "phone" };
    let reset = verifier.reset_password((&phone(), account), used, &other, None, NOW).await.unwrap();
    assert_eq!(reset, CodeUse::Overtaken);
    person.typing(NEW_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn an_attempt_is_taken_back_once_and_only_while_it_is_the_last() {
    let world = World::new();
    world.person().await;
    let login = store(&world, "login");
    let failures = || world.item("PHONE#", "CREDENTIAL")["login_failures"]["N"].as_str().unwrap().to_owned();
    let spend = async || match login.spend_login_attempt(&phone(), NOW).await.unwrap() {
        Attempt::Admitted { receipt, .. } => receipt,
        Attempt::LimitReached(_) | Attempt::Nothing => panic!("the attempt is not admitted"),
    };
    let first = spend().await;
    login.take_back(first.clone()).await.unwrap();
    login.take_back(first).await.unwrap();
    assert_eq!(failures(), "0", "twice is once");
    let earlier = spend().await;
    spend().await;
    login.take_back(earlier).await.unwrap();
    assert_eq!(failures(), "2", "somebody has counted since");
}

#[tokio::test]
async fn a_code_is_right_only_under_the_systems_own_key() {
    let world = World::new();
    let person = world.person().await;
    let requester = store(&world, "request-reset");
    let target = requester.code_target(&phone(), Purpose::Reset, NOW).await.unwrap();
    let (code, challenge) = (OtpCode::generate().unwrap(), ChallengeId::generate().unwrap());
    let user = target.account.map(|account| account.user);
    let binding = Binding { purpose: Purpose::Reset, phone: &phone(), user, challenge };
    let other_keys = Versions::from_text(&"other".repeat(16)).unwrap().at(NOW).unwrap().writing;
    let new_code = NewCode {
        purpose: Purpose::Reset,
        phone: &phone(),
        challenge,
        mac: &OtpMac::new(&other_keys.otp, binding, &code),
        now: NOW,
        ttl: Duration::from_mins(5),
        cooldown: Duration::from_secs(1),
        max_attempts: 5,
        device: None,
        is_sent: true,
    };
    requester.issue_code(new_code, &target, &[]).await.unwrap();
    person.verify_reset(code.reveal(), NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
}

/// A provider that refuses slowly, after the next code has gone out.
#[tokio::test]
async fn a_code_that_is_taken_back_late_takes_no_newer_one_with_it() {
    let world = World::new();
    let person = world.person().await;
    let requester = store(&world, "request-reset");
    let first = person.reset_code().await;
    world.advance(1);
    person.request_reset().await.expect(202);
    let slow: ChallengeId = world.item("PHONE#", "OTP#reset")["challenge_id"]["S"].as_str().unwrap().parse().unwrap();
    world.advance(1);
    let newest = person.reset_code().await;
    let mac = OtpMac::from_stored(&[1; 33]).unwrap();
    let phone = phone();
    let late = NewCode {
        purpose: Purpose::Reset,
        phone: &phone,
        challenge: slow,
        mac: &mac,
        now: world.clock.now(),
        ttl: Duration::from_mins(5),
        cooldown: Duration::from_secs(1),
        max_attempts: 5,
        device: None,
        is_sent: true,
    };
    requester.take_back_code(late, Failure::Certain, true, Charges { charged: &[], forgiven: &[] }).await.unwrap();
    person.request_reset().await.expect_limit("messages-cooldown");
    // The last two that went out are the first and the newest.
    if first != newest {
        person.verify_reset(&first, NEW_PASSWORD).await.expect(204);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_500_and_a_handler_that_never_ends_is_503() {
    let context = Context {
        now: NOW,
        request_id: "the-request".to_owned(),
        source: SourceAddress::parse("203.0.113.7"),
        user_agent: None,
        language: None,
        url: Some("https://latchkey.test".to_owned()),
        is_past_front: false,
        proofs: ShownProofs::default(),
        page: Page::default(),
        audit: Audit::default(),
    };
    let (world, witness) = (World::new(), Witness::default());
    let me = TEMPLATE.function("me").unwrap();
    let config = Config::from_variables(&me.environment.clone().into_iter().collect()).unwrap();
    let hasher = Arc::new(Hasher::new().unwrap());
    let app = App::new(config, world.emulator.clients_for(me), hasher, Some(witness.clone())).unwrap();
    let panicking = respond(&app, "me", &context, Box::pin(async { panic!("a test's own panic") })).await;
    assert_eq!(panicking.status(), 500);
    assert_eq!(panicking.headers()["content-type"], "application/problem+json");
    let hanging = respond(&app, "me", &context, Box::pin(std::future::pending())).await;
    assert_eq!(hanging.status(), 503);
    assert_eq!(hanging.headers()["retry-after"], "2");
    let refused = respond(&app, "me", &context, Box::pin(async { Err(ApiError::InvalidOtp) })).await;
    assert_eq!(refused.status(), 400);
    // Whatever it was, the audit log has it.
    let results: Vec<_> = witness.audit_log.take().iter().map(|line| line["result"].clone()).collect();
    assert_eq!(results, ["internal", "temporarily-unavailable", "invalid-otp"]);
}

#[tokio::test]
async fn an_attempt_is_not_taken_back_from_a_counter_that_was_reset_meanwhile() {
    let world = World::with(&[("OTP_TTL_SECONDS", "600")]);
    let person = world.person().await;
    let code = person.reset_code().await;
    let (login, verifier) = (store(&world, "login"), store(&world, "verify-reset"));
    let attempt = verifier.spend_code_attempt(&phone(), Purpose::Reset, &guess(), NOW).await.unwrap();
    let Attempt::Admitted { receipt: of_code, .. } = attempt else { panic!("the code is open") };
    let Attempt::Admitted { receipt: of_login, .. } = login.spend_login_attempt(&phone(), NOW).await.unwrap() else {
        panic!("throttled")
    };
    // A reset takes the throttle away, and the next code begins with no try.
    person.verify_reset(&code, NEW_PASSWORD).await.expect(204);
    login.take_back(of_login).await.unwrap();
    verifier.take_back(of_code.clone()).await.unwrap();
    world.advance(1);
    person.request_reset().await.expect(202);
    verifier.take_back(of_code).await.unwrap();
    let item = world.item("PHONE#", "OTP#reset");
    assert_eq!((item["attempts"]["N"].as_str(), item["failures"]["N"].as_str()), (Some("2"), Some("0")));
    assert!(world.item("PHONE#", "CREDENTIAL")["login_failures"].is_null());
    person.typing(NEW_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn a_login_that_was_outrun_ends_none_of_the_sessions_that_stay() {
    let world = World::new();
    let person = world.person().await;
    for _ in 0..20 {
        person.sign_in().await;
    }
    let old = credential(&world).await;
    person.change_password(NEW_PASSWORD).await.expect(200);
    let completed = store(&world, "login").complete_login(&home(), &old, None, None, session(&old)).await.unwrap();
    assert_eq!(completed, LoginCompletion::Overtaken);
    person.me().await.expect(200);
}

#[tokio::test]
async fn a_login_that_the_end_of_every_session_outran_may_be_tried_again() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let old = credential(&world).await;
    person.logout_all().await.expect(204);
    let completed = store(&world, "login").complete_login(&home(), &old, None, None, session(&old)).await.unwrap();
    assert_eq!(completed, LoginCompletion::EpochRaised);
    person.login().await.expect(200);
}

/// Two messages to the same phone that fail at once both give back the phone among those of their address. The second one
/// must not keep what it was charged elsewhere.
#[tokio::test]
async fn what_shares_a_member_gives_all_its_charges_back() {
    let world = World::new();
    let store = store(&world, "register");
    let day = Duration::from_hours(24);
    let country = Limit { bucket: Bucket::MessagesCountry, subject: "EG/day", allowed: 10, window: day, member: None };
    let phones =
        Limit { bucket: Bucket::AddressPhones, subject: "address", allowed: 1, window: day, member: Some("a") };
    let charged = [phones, country];
    for _ in 0..2 {
        store.charge_all(&charged, NOW).await.unwrap().unwrap();
    }
    assert!(store.charge_all(&[Limit { member: Some("b"), ..phones }, country], NOW).await.unwrap().is_err());
    let give_back = || async { store.give_back_all(&charged, NOW).await.unwrap() };
    tokio::join!(give_back(), give_back());
    assert_eq!(store.uses(&[country], NOW).await.unwrap(), 0);
    store.charge_all(&[Limit { member: Some("b"), ..phones }, country], NOW).await.unwrap().unwrap();
}

/// A run tries a hundred notices. If no provider takes those, the next run must not try the same hundred again.
#[tokio::test]
async fn no_notice_is_passed_over_for_others_that_nobody_takes() {
    let world = World::new();
    let store = store(&world, "send-notices");
    for (recipient, name) in [("a", "first"), ("b", "second"), ("c", "third")] {
        let notice = NewOwedNotice { recipient, name, sealed_phone: "sealed", language: None };
        store.owe_notice(notice, NOW, NOW).await.unwrap();
    }
    let mut tried = Vec::new();
    for run in 1..=3 {
        let now = NOW.plus(Duration::from_mins(5) * run);
        for due in store.due_notices(2, now).await.unwrap() {
            let owed = store.claim_notice(&due, now).await.unwrap().unwrap();
            store.defer_notice(&owed, now).await.unwrap();
            tried.push(owed.name);
        }
    }
    // In the third run, the second notice has waited longest, and the other two equally long.
    assert_eq!(tried[..5], ["first", "second", "third", "first", "second"]);
}
