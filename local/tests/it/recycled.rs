//! Numbers that carriers hand out again (docs/adr/0050-recycled-numbers.md): the story from both sides, and its races.

use futures_util::future::join_all;
use latchkey::domain::phone::Phone;
use serde_json::{Value, json};

use crate::{
    harness::{
        E164, LONG, NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, Person, RESET_PASSWORD, Reply, THIRD_PHONE, World,
        another_code,
    },
    jwt_attacks::Parts,
};

const TRANSACT: &str = "TransactWriteItems";

/// Somebody with a password, whose phone a code has proved.
async fn owner(world: &World) -> Person {
    let person = world.signed_in_person().await;
    person.verify_own_phone().await;
    world.advance(2);
    person
}

/// Somebody who has got this person's number, and knows nothing of theirs.
fn newcomer(world: &World) -> Person {
    world.visitor(PHONE).without_password()
}

async fn id(person: &Person) -> Value {
    person.me().await.expect(200).body["id"].clone()
}

#[tokio::test]
async fn a_recycled_number_starts_anew_and_its_old_owner_comes_back() {
    let world = World::new();
    let owner = owner(&world).await;
    let old = id(&owner).await;

    let newcomer = newcomer(&world);
    let offer = newcomer.comes_back_late().await;
    assert_eq!(offer.body["methods"], json!(["password"]));
    let sent = world.outbox.messages().len();
    newcomer.start_anew().await.expect(200);
    let me = newcomer.me().await.expect(200).body;
    assert_eq!((&me["phone"], &me["phone_verified"], &me["has_password"]), (&json!(E164), &json!(true), &json!(false)));
    assert!(me["id"] != old && me.get("parked_until").is_none());
    assert_eq!(world.outbox.messages()[0].about, "started-anew");
    assert_eq!(world.outbox.messages().len(), sent + 1);

    // The owner's phone opens nothing of theirs, and what is left of it does.
    owner.login().await.expect_problem(401, "invalid-credentials");
    owner.mistyping().recover().await.expect_problem(401, "invalid-credentials");
    owner.recover().await.expect(200);
    let me = owner.me().await.expect(200).body;
    assert_eq!((&me["id"], me.get("phone")), (&old, None));
    assert_eq!((&me["parked_until"], &me["phone_verified"]), (&json!("2027-10-13T08:00:02Z"), &json!(false)));
    assert_eq!(Parts::of(&owner.access_token()).claims["amr"], json!(["pwd"]));
    let export = owner.export().await.expect(200).body;
    assert_eq!((&export["account"]["former_phone"], export["account"].get("phone")), (&json!(E164), None));
    owner.verify_phone().await.expect_problem(403, "account-parked");
    owner.mfa_enroll().await.expect_problem(403, "account-parked");

    // With a new phone it is as it was.
    owner.move_to(OTHER_PHONE).await;
    let me = owner.me().await.expect(200).body;
    assert_eq!((&me["id"], &me["phone_verified"]), (&old, &json!(true)));
    world.advance(2);
    owner.on_another_device().sign_in().await;
    owner.on_another_device().sign_in_by_code().await;
    owner.recover().await.expect_problem(401, "invalid-credentials");
    newcomer.me().await.expect(200);
    // No message about the owner went to the phone that is the newcomer's.
    let to_newcomer = world.outbox.messages().into_iter().filter(|message| message.to.as_e164() == E164);
    assert_eq!(to_newcomer.filter(|message| message.about == "phone-changed").count(), 0);
    world.check_table("after the story");
}

#[tokio::test]
async fn the_owner_of_an_old_number_proves_who_they_are() {
    let world = World::new();
    let owner = owner(&world).await;
    let old = id(&owner).await;
    let tablet = owner.on_another_device();
    tablet.comes_back_late().await;
    tablet.mistyping().prove_by_password().await.expect_problem(403, "wrong-password");
    let late = tablet.with_copied_tokens();
    tablet.prove_by_password().await.expect(200);
    assert_eq!(id(&tablet).await, old);
    assert_eq!(Parts::of(&tablet.access_token()).claims["amr"], json!(["pwd"]));
    // A response that was lost is repeated, and nothing else is.
    late.prove_by_password().await.expect(200);
    assert_eq!(late.refresh_token(), tablet.refresh_token());
    late.start_anew().await.expect_problem(401, "invalid-token");
    tablet.refresh().await.expect(200);
    late.prove_by_password().await.expect_problem(401, "invalid-token");
    // The phone is proved for another half a year.
    world.advance(2);
    owner.on_another_device().sign_in_by_code().await;
}

#[tokio::test]
async fn a_device_with_a_session_is_not_asked() {
    let world = World::new();
    let owner = owner(&world).await;
    world.advance(LONG);
    owner.sign_in().await;
    owner.ask_code().await.expect(202);
    owner.verify_code_in_session(&owner.code()).await.expect(200);
    world.advance(2);
    // Somebody else's session is none.
    world.advance(LONG);
    let stranger = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    let newcomer = newcomer(&world);
    newcomer.ask_code().await.expect(202);
    let body = json!({"challenge": newcomer.challenge(), "otp": newcomer.code()});
    stranger.post("/auth/code/verify", body).await.expect_problem(403, "identity-required");
    world.advance(2);
    newcomer.ask_code().await.expect(202);
    let forged = newcomer.bearing("no.such.token");
    let body = json!({"challenge": newcomer.challenge(), "otp": newcomer.code()});
    forged.post("/auth/code/verify", body).await.expect_problem(403, "identity-required");
}

#[tokio::test]
async fn every_right_code_for_the_phone_renews_its_proof() {
    for way in ["verify-phone", "sign-in", "reset", "step-up", "change-phone", "second factor"] {
        let world = World::new();
        let person = world.signed_in_person().await;
        world.advance(LONG - 3 * 86_400);
        person.sign_in().await;
        match way {
            "verify-phone" => person.verify_own_phone().await,
            "sign-in" => person.sign_in_by_code().await,
            "reset" => person.reset_password(RESET_PASSWORD).await,
            "step-up" => {
                person.ask_code().await.expect(202);
                person.step_up_by_code(&person.code()).await.expect(200);
            }
            "change-phone" => person.move_to(OTHER_PHONE).await,
            _ => {
                person.switch_factor_on().await;
                world.advance(2);
                person.sign_in_by_code().await;
            }
        }
        world.advance(4 * 86_400);
        let laptop = person.on_another_device();
        laptop.ask_code().await.expect(202);
        let reply = laptop.verify_code(&laptop.code()).await;
        let expected = if way == "second factor" { "mfa-required" } else { "" };
        assert_eq!(reply.code(), expected, "{way}");
    }
}

/// Who has the phone but not the authenticator proves nothing of its owner: the offer comes when the owner was last there.
#[tokio::test]
async fn a_second_factor_is_what_proves_the_old_owner() {
    let world = World::new();
    let owner = world.person_with_factor().await;
    world.advance(100 * 86_400);
    let newcomer = newcomer(&world);
    newcomer.ask_code().await.expect(202);
    newcomer.verify_code(&newcomer.code()).await.expect_problem(403, "mfa-required");
    newcomer.start_anew().await.expect_problem(401, "invalid-token");
    world.advance(81 * 86_400);
    newcomer.ask_code().await.expect(202);
    let offer = newcomer.verify_code(&newcomer.code()).await.expect_problem(403, "identity-required");
    assert_eq!(offer.body["methods"], json!(["totp", "recovery_code"]));
    newcomer.typing(PASSWORD).prove_by_password().await.expect_problem(422, "invalid-request");
    newcomer.start_anew().await.expect(200);
    assert_eq!(newcomer.me().await.expect(200).body["mfa_enabled"], false);

    // The owner comes back with password and factor.
    owner.recover().await.expect_problem(403, "mfa-required");
    owner.with_wrong_code().recover().await.expect_problem(400, "invalid-otp");
    owner.with_code().recover().await.expect(200);
    assert_eq!(Parts::of(&owner.access_token()).claims["amr"], json!(["pwd", "otp", "mfa"]));
    world.advance(30);
    owner.with_code().move_to(THIRD_PHONE).await;
    world.advance(30);
    let laptop = owner.on_another_device();
    laptop.sign_in().await;
    assert_eq!(laptop.me().await.expect(200).body["mfa_enabled"], true);
    // What was to expire with the account stays.
    world.advance(91 * 86_400);
    world.collect_garbage();
    laptop.sign_in().await;
}

#[tokio::test]
async fn an_account_without_a_password_comes_back_by_its_second_factor_alone() {
    for member in ["code", "recovery_code"] {
        let world = World::new();
        let owner = world.person_by_code().await;
        owner.switch_factor_on().await;
        newcomer(&world).comes_back_late().await;
        let newcomer = newcomer(&world);
        world.advance(2);
        newcomer.ask_code().await.expect(202);
        newcomer.verify_code(&newcomer.code()).await.expect(403);
        newcomer.start_anew().await.expect(200);
        owner.with_wrong_code().recover().await.expect_problem(401, "invalid-credentials");
        let shown = if member == "code" { owner.with_code() } else { owner.with_recovery_code(3) };
        shown.recover().await.expect(200);
        shown.refresh().await.expect(200);
        shown.recover().await.expect_problem(401, "invalid-credentials");
        assert_eq!(Parts::of(&owner.access_token()).claims["amr"], json!(["otp"]));
        world.advance(30);
        owner.with_code().move_to(OTHER_PHONE).await;
        world.advance(30);
        owner.on_another_device().sign_in_by_code().await;
    }
}

/// An account that nothing but its phone opens is opened by an operator alone.
#[tokio::test]
async fn an_account_without_another_proof_is_offered_nothing_but_a_new_one() {
    let world = World::new();
    world.person_by_code().await;
    let newcomer = newcomer(&world);
    let offer = newcomer.comes_back_late().await;
    assert!(offer.body.get("methods").is_none() && offer.text("detail").contains("operator"));
    newcomer.typing(PASSWORD).prove_by_password().await.expect_problem(403, "wrong-password");
    newcomer.start_anew().await.expect(200);
    world.visitor(PHONE).typing(PASSWORD).recover().await.expect_problem(401, "invalid-credentials");
}

#[tokio::test]
async fn a_reset_goes_the_same_way() {
    let world = World::new();
    let owner = owner(&world).await;
    world.advance(LONG);
    let newcomer = newcomer(&world);
    let code = newcomer.reset_code().await;
    newcomer.verify_reset(&code, RESET_PASSWORD).await.expect_problem(403, "identity-required");
    newcomer.verify_reset(&another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    // A lost response leads to the same choice, and the other form of the same code to nothing.
    newcomer.verify_reset(&code, RESET_PASSWORD).await.expect_problem(403, "identity-required");
    newcomer.verify_reset_by_challenge(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    world.advance(1);
    let code = newcomer.reset_code().await;
    newcomer.verify_reset_by_challenge(&code, RESET_PASSWORD).await.expect_problem(403, "identity-required");
    newcomer.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    newcomer.verify_reset_by_challenge(&code, RESET_PASSWORD).await.expect_problem(403, "identity-required");
    let body = json!({"mfa_token": newcomer.mfa_token(), "new_password": RESET_PASSWORD});
    newcomer.post("/auth/start-anew", body).await.expect(200);
    assert_eq!(newcomer.me().await.expect(200).body["has_password"], true);
    newcomer.on_another_device().typing(RESET_PASSWORD).sign_in().await;
    owner.recover().await.expect(200);

    // A device with a session, and a second factor, show that the owner is the same.
    let world = World::new();
    let owner = world.person_with_factor().await;
    world.advance(LONG);
    let code = owner.reset_code().await;
    owner.with_code().verify_reset(&code, RESET_PASSWORD).await.expect(204);
    world.advance(LONG);
    owner.typing(RESET_PASSWORD).sign_in().await;
    let code = owner.reset_code().await;
    let body = json!({"phone": PHONE, "otp": code, "new_password": NEW_PASSWORD});
    owner.post("/auth/verify-reset", body).await.expect_problem(403, "mfa-required");
}

#[tokio::test]
async fn a_registration_goes_the_same_way() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    let owner = world.signed_in_person().await;
    let registered = world.visitor(PHONE).typing(NEW_PASSWORD);
    world.advance(100 * 86_400);
    registered.register().await.expect(202);
    assert_eq!(world.outbox.messages()[0].about, "already-registered");
    world.advance(81 * 86_400);
    let newcomer = world.visitor(PHONE).typing(NEW_PASSWORD);
    newcomer.register().await.expect(202);
    assert_eq!(world.outbox.messages()[0].about, "activation");
    world.advance(2);
    newcomer.resend_activation().await.expect(202);
    for _ in 0..2 {
        newcomer.activate(&newcomer.code()).await.expect_problem(403, "identity-required");
    }
    newcomer.start_anew().await.expect(200);
    // With the password of the registration.
    newcomer.on_another_device().sign_in().await;
    owner.recover().await.expect(200);
    // Where phones are not activated, nothing shows who registers: the code does that.
    let world = World::new();
    let _ = self::owner(&world).await;
    world.advance(LONG);
    world.visitor(PHONE).typing(NEW_PASSWORD).register().await.expect_problem(409, "phone-taken");
}

#[tokio::test]
async fn it_is_a_matter_of_configuration() {
    let world = World::with(&[("PHONE_PROOF_MAX_AGE_DAYS", "0")]);
    let person = owner(&world).await;
    world.advance(10 * LONG);
    person.on_another_device().sign_in_by_code().await;

    let world = World::with(&[
        ("PHONE_PROOF_MAX_AGE_DAYS", "1"),
        ("PARKED_ACCOUNT_DAYS", "1"),
        ("REFRESH_TOKEN_TTL_SECONDS", "86400"),
    ]);
    let person = owner(&world).await;
    world.advance(86_398);
    person.on_another_device().sign_in_by_code().await;
    world.advance(86_399);
    let newcomer = newcomer(&world);
    newcomer.ask_code().await.expect(202);
    newcomer.verify_code(&newcomer.code()).await.expect_problem(403, "identity-required");
    newcomer.start_anew().await.expect(200);
    world.advance(86_399);
    person.recover().await.expect(200);
    world.advance(1);
    person.me().await.expect_problem(401, "invalid-token");
    person.recover().await.expect_problem(401, "invalid-credentials");
    // The number changes hands again: nothing of the first account is in the way.
    world.advance(2);
    let third = newcomer.on_another_device();
    third.ask_code().await.expect(202);
    third.verify_code(&third.code()).await.expect_problem(403, "identity-required");
    third.start_anew().await.expect(200);
    // DynamoDB deletes what is left of both.
    world.advance(2 * 86_400 + 1);
    world.collect_garbage();
    assert_eq!(world.items("USER#").iter().filter(|item| item["sk"]["S"] == "PROFILE").count(), 1);
    world.check_table("after the garbage was collected");

    let closed = World::with(&[("SIGN_UP", "closed")]);
    assert!(closed.post("/auth/start-anew", json!({"mfa_token": "x"})).await.status == 403);
}

/// An account that is older than the record of proofs counts from its next code on: an upgrade locks nobody out.
#[tokio::test]
async fn an_account_of_an_older_version_counts_from_its_next_code_on() {
    let world = World::new();
    let person = owner(&world).await;
    let mut credential = world.item("PHONE#", "CREDENTIAL");
    credential.as_object_mut().unwrap().remove("phone_proved_at");
    world.put_item(&credential);
    world.advance(LONG);
    person.on_another_device().sign_in_by_code().await;
    newcomer(&world).comes_back_late().await;
}

/// The asker has not proved anything yet when a code is asked for or is wrong: nothing tells an old number then.
#[tokio::test(start_paused = true)]
async fn nothing_before_the_right_code_tells_an_old_number() {
    let world = World::new();
    let _ = owner(&world).await;
    world.person_with_phone(OTHER_PHONE).await;
    world.advance(LONG);
    let fresh = world.visitor(OTHER_PHONE);
    fresh.ask_code().await.expect(202);
    fresh.verify_code(&fresh.code()).await.expect_problem(403, "identity-required");
    fresh.typing(PASSWORD).prove_by_password().await.expect(200);
    world.advance(2);
    let mut seen = Vec::new();
    // The first one is served by functions that have read no keys for long, and is not compared.
    for phone in ["01512345678", PHONE, OTHER_PHONE, THIRD_PHONE] {
        let person = world.visitor(phone);
        world.calls();
        let asked = person.ask_code().await.expect(202);
        let wrong = crate::harness::another_code(&person.code());
        let refused = person.verify_code(&wrong).await.expect_problem(400, "invalid-otp");
        world.advance(2);
        let reset = person.request_reset().await.expect(202);
        let members: Vec<_> = asked.body.as_object().unwrap().keys().cloned().collect();
        seen.push(((members, refused.fingerprint(), reset.fingerprint()), world.permissions_used()));
    }
    assert!(seen[1].0 == seen[2].0 && seen[2].0 == seen[3].0, "the responses");
    assert_eq!(seen[1].1, seen[2].1, "the work");
}

/// Whether an account is parked for a number is told to nobody who cannot open it.
#[tokio::test(start_paused = true)]
async fn what_opens_nothing_does_not_tell_whether_an_account_is_parked() {
    let world = World::new();
    let owner = owner(&world).await;
    let newcomer = newcomer(&world);
    newcomer.comes_back_late().await;
    newcomer.start_anew().await.expect(200);
    world.person_with_phone(OTHER_PHONE).await;
    let other = world.visitor(OTHER_PHONE);
    let unknown = world.visitor(THIRD_PHONE);
    let mut seen = Vec::new();
    // The first one is served by functions that have read no keys for long, and is not compared.
    for person in [&world.visitor("01512345678"), &owner, &other, &unknown] {
        world.calls();
        let (hashes, mut replies) = (world.hashes(), Vec::new());
        replies.push(person.mistyping().recover().await);
        replies.push(person.without_password().with_proof("code", "123456").recover().await);
        for _ in 0..6 {
            replies.push(person.mistyping().recover().await);
        }
        let replies: Vec<_> = replies.iter().map(Reply::fingerprint).collect();
        let mut work = world.permissions_used();
        // What runs at the same time has no order.
        work.sort();
        seen.push((replies, world.hashes() - hashes, work));
    }
    for other in [&seen[2], &seen[3]] {
        assert!(seen[1].0 == other.0, "the responses");
        assert_eq!((seen[1].1, &seen[1].2), (other.1, &other.2), "the work");
    }
}

/// Two requests whose transactions are written in this order, and their statuses.
async fn in_order(
    world: &World,
    order: [&'static str; 2],
    first: impl Future<Output = Reply>,
    second: impl Future<Output = Reply>,
) -> (u16, u16) {
    world.emulator.gate().close_in_order(TRANSACT, &order);
    let (first, second) = tokio::join!(first, second);
    assert!(world.emulator.gate().is_open(), "{order:?}: not every call arrived");
    world.check_table(&format!("{order:?}"));
    (first.status, second.status)
}

fn accounts(world: &World) -> (usize, usize) {
    let profiles = world.items("USER#").into_iter().filter(|item| item["sk"]["S"] == "PROFILE");
    let (parked, living): (Vec<_>, Vec<_>) =
        profiles.filter(|item| item["deleted_at"].is_null()).partition(|item| !item["parked_at"].is_null());
    (living.len(), parked.len())
}

#[tokio::test(start_paused = true)]
async fn of_many_who_start_anew_at_once_one_does() {
    let world = World::new();
    let _ = owner(&world).await;
    world.advance(LONG);
    let mut starters = Vec::new();
    for _ in 0..6 {
        let starter = newcomer(&world);
        starter.ask_code().await.expect(202);
        starter.verify_code(&starter.code()).await.expect_problem(403, "identity-required");
        starters.push(starter);
        world.advance(2);
    }
    // One of them sends its request twice.
    starters.push(starters[0].with_copied_tokens());
    world.emulator.gate().close(TRANSACT, 7);
    let replies = join_all(starters.iter().map(Person::start_anew)).await;
    assert!(world.emulator.gate().is_open());
    let started: Vec<_> = (0..7).filter(|at| replies[*at].status == 200).collect();
    let twin = |at: usize| {
        if at == 0 {
            Some(6)
        } else if at == 6 {
            Some(0)
        } else {
            None
        }
    };
    assert!(started.len() == 1 || (started.len() == 2 && twin(started[0]) == Some(started[1])), "{started:?}");
    assert!(replies.iter().all(|reply| [200, 401].contains(&reply.status)));
    assert_eq!(accounts(&world), (1, 1));
    if let [first, second] = started[..] {
        assert_eq!(starters[first].refresh_token(), starters[second].refresh_token());
    }
    world.check_table("after a race of starters");
}

#[tokio::test(start_paused = true)]
async fn of_a_starter_and_the_owner_the_first_counts() {
    for owner_first in [true, false] {
        let world = World::new();
        let owner = owner(&world).await;
        let newcomer = newcomer(&world);
        newcomer.comes_back_late().await;
        world.advance(2);
        let laptop = owner.on_another_device();
        laptop.ask_code().await.expect(202);
        laptop.verify_code(&laptop.code()).await.expect_problem(403, "identity-required");
        let order = if owner_first { ["login-mfa", "start-anew"] } else { ["start-anew", "login-mfa"] };
        let statuses = in_order(&world, order, laptop.prove_by_password(), newcomer.start_anew()).await;
        assert_eq!(statuses, if owner_first { (200, 401) } else { (401, 200) });
        assert_eq!(accounts(&world), if owner_first { (1, 0) } else { (1, 1) });
    }
}

/// The owner proves the phone by another code, signed in at another device.
#[tokio::test(start_paused = true)]
async fn of_a_starter_and_a_code_of_the_owner_the_first_counts() {
    for owner_first in [true, false] {
        let world = World::new();
        let owner = owner(&world).await;
        let newcomer = newcomer(&world);
        world.advance(LONG);
        owner.sign_in().await;
        owner.ask_code().await.expect(202);
        let code = owner.code();
        world.advance(2);
        newcomer.ask_code().await.expect(202);
        newcomer.verify_code(&newcomer.code()).await.expect_problem(403, "identity-required");
        let order = if owner_first { ["step-up", "start-anew"] } else { ["start-anew", "step-up"] };
        let statuses = in_order(&world, order, owner.step_up_by_code(&code), newcomer.start_anew()).await;
        assert_eq!(statuses, if owner_first { (200, 401) } else { (401, 200) });
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_starter_and_a_deletion_or_a_change_of_phone_the_first_counts() {
    for change in ["me-delete", "change-phone-verify"] {
        for owner_first in [true, false] {
            let world = World::new();
            let owner = owner(&world).await;
            let newcomer = newcomer(&world);
            newcomer.comes_back_late().await;
            owner.sign_in().await;
            let code = if change == "me-delete" { String::new() } else { owner.code_for(OTHER_PHONE).await };
            let changed = async {
                match change {
                    "me-delete" => owner.delete_account().await,
                    _ => owner.change_phone_verify(&code).await,
                }
            };
            let order = if owner_first { [change, "start-anew"] } else { ["start-anew", change] };
            let (changed, started) = in_order(&world, order, changed, newcomer.start_anew()).await;
            let expected = if owner_first { 401 } else { 200 };
            assert_eq!(started, expected, "{change}");
            assert_eq!([200, 204].contains(&changed), owner_first, "{change}: {changed}");
            let left = match (change, owner_first) {
                ("me-delete", true) => (0, 0),
                (_, true) => (1, 0),
                _ => (1, 1),
            };
            assert_eq!(accounts(&world), left, "{change}");
        }
    }
}

/// The parked owner changes the phone, deletes the account, and an operator unparks it, all at once.
#[tokio::test(start_paused = true)]
async fn of_changes_of_a_parked_account_the_first_counts() {
    for owner_first in [true, false] {
        let world = World::new();
        let owner = owner(&world).await;
        let newcomer = newcomer(&world);
        newcomer.comes_back_late().await;
        newcomer.start_anew().await.expect(200);
        owner.recover().await.expect(200);
        let tablet = owner.with_copied_tokens();
        let code = owner.code_for(OTHER_PHONE).await;
        let order =
            if owner_first { ["change-phone-verify", "me-delete"] } else { ["me-delete", "change-phone-verify"] };
        let (moved, deleted) = in_order(&world, order, owner.change_phone_verify(&code), tablet.delete_account()).await;
        assert_eq!((moved, deleted), if owner_first { (200, 401) } else { (401, 204) });
        assert_eq!(accounts(&world), if owner_first { (2, 0) } else { (1, 0) });
    }
}

#[tokio::test]
async fn a_parked_account_is_deleted_by_its_owner_and_the_phones_new_one_stays() {
    let world = World::new();
    let owner = owner(&world).await;
    let newcomer = newcomer(&world);
    newcomer.comes_back_late().await;
    newcomer.start_anew().await.expect(200);
    world.advance(2);
    newcomer.ask_code().await.expect(202);
    let code = newcomer.code();
    owner.recover().await.expect(200);
    let sent = world.outbox.messages().len();
    owner.delete_account().await.expect(204);
    owner.recover().await.expect_problem(401, "invalid-credentials");
    assert_eq!(world.outbox.messages().len(), sent, "nobody is told at a phone that is not theirs");
    newcomer.verify_code(&code).await.expect(200);
    // And the other way round: a deleted new account frees the phone, to which the old one may move back.
    let world = World::new();
    let owner = self::owner(&world).await;
    let newcomer = self::newcomer(&world);
    newcomer.comes_back_late().await;
    newcomer.start_anew().await.expect(200);
    owner.recover().await.expect(200);
    newcomer.delete_account().await.expect(204);
    owner.move_to(PHONE).await;
    assert_eq!(owner.me().await.expect(200).body["phone"], E164);
    assert!(world.store().account_by_phone(&Phone::from_stored(E164).unwrap()).await.unwrap().is_some());
}

#[tokio::test]
async fn the_audit_log_names_both_accounts() {
    let world = World::new();
    let owner = owner(&world).await;
    let old = id(&owner).await;
    let newcomer = newcomer(&world);
    newcomer.comes_back_late().await;
    world.audit_log.take();
    newcomer.start_anew().await.expect(200);
    owner.recover().await.expect(200);
    let lines = world.audit_log.take();
    assert_eq!((&lines[0]["event"], &lines[0]["former_user"]), (&json!("start-anew"), &old));
    assert_eq!((&lines[0]["user"], &lines[0]["result"]), (&id(&newcomer).await, &json!("success")));
    assert_eq!((&lines[1]["event"], &lines[1]["user"]), (&json!("recover"), &old));
}
