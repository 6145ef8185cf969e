//! What the owner of a phone is told without having asked.

use local::emulator::Fault;
use serde_json::json;

use crate::harness::{E164, NEW_PASSWORD, OTHER_PHONE, PASSWORD, RESET_PASSWORD, World, another_code};

impl World {
    /// What the messages since the last look were about, oldest first; all of them to the usual phone.
    fn told(&self, seen: &mut usize) -> Vec<&'static str> {
        let (messages, total) = self.outbox.messages_after(*seen);
        *seen = total;
        assert!(messages.iter().all(|message| message.to.as_e164() == E164));
        messages.iter().map(|message| message.about).collect()
    }
}

#[tokio::test]
async fn every_change_of_how_an_account_is_opened_is_told_to_its_phone() {
    let world = World::new();
    let mut seen = 0;
    let person = world.person_with_factor().await;
    assert_eq!(world.told(&mut seen), ["verify-phone", "second-factor-on"]);

    person.with_code().mfa_recovery_codes().await.expect(200);
    assert_eq!(world.told(&mut seen), ["recovery-codes-replaced"]);
    world.advance(30);
    person.with_code().change_password(NEW_PASSWORD).await.expect(200);
    assert_eq!(world.told(&mut seen), ["password-changed"]);
    world.advance(30);
    person.with_code().mfa_disable().await.expect(200);
    assert_eq!(world.told(&mut seen), ["second-factor-off"]);
    let code = person.code_for(OTHER_PHONE).await;
    seen += 1;
    person.change_phone_verify(&code).await.expect(200);
    assert_eq!(world.told(&mut seen), ["phone-changed"]);
}

/// Who reads the messages of a phone once can reset its account's password; and who knows the password can delete the
/// account. The owner must not find out by failing to sign in.
#[tokio::test]
async fn a_reset_and_a_deletion_are_told() {
    let world = World::new();
    let mut seen = 0;
    let person = world.signed_in_person().await;
    person.reset_password(RESET_PASSWORD).await;
    assert_eq!(world.told(&mut seen), ["reset", "password-reset"]);
    // A code that did not reset anything is followed by nothing.
    world.advance(2);
    let code = person.reset_code().await;
    person.verify_reset(&another_code(&code), NEW_PASSWORD).await.expect(400);
    assert_eq!(world.told(&mut seen), ["reset"]);

    person.sign_in().await;
    person.mistyping().delete_account().await.expect(403);
    assert!(world.told(&mut seen).is_empty());
    // The reset has confirmed the phone.
    person.delete_account().await.expect(204);
    assert_eq!(world.told(&mut seen), ["account-deleted"]);
    // A repeated request deletes nothing, and so does one for a phone that nobody has confirmed.
    person.delete_account().await.expect(204);
    let newcomer = world.signed_in_person().await;
    newcomer.delete_account().await.expect(204);
    assert!(world.told(&mut seen).is_empty());
}

#[tokio::test]
async fn the_use_of_a_recovery_code_is_told_wherever_it_is_shown() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let mut seen = 2;

    person.first_step().await;
    person.with_recovery_code(0).login_mfa().await.expect(200);
    assert_eq!(world.told(&mut seen), ["recovery-code-used"]);
    person.with_recovery_code(1).mfa_enroll().await.expect(200);
    assert_eq!(world.told(&mut seen), ["recovery-code-used"]);
    let otp = person.reset_code().await;
    person.with_recovery_code(2).verify_reset(&otp, RESET_PASSWORD).await.expect(204);
    assert_eq!(world.told(&mut seen), ["reset", "recovery-code-used", "password-reset"]);
    person.first_step().await;
    person.with_recovery_code(3).login_mfa().await.expect(200);
    world.told(&mut seen);
    person.with_recovery_code(4).change_phone(OTHER_PHONE).await.expect(202);
    let (messages, total) = world.outbox.messages_after(seen);
    let told: Vec<_> = messages.iter().map(|message| (message.about, message.to.as_e164() == E164)).collect();
    assert_eq!(told, [("recovery-code-used", true), ("change-phone", false)]);
    seen = total;
    person.with_recovery_code(5).delete_account().await.expect(204);
    assert_eq!(world.told(&mut seen), ["recovery-code-used", "account-deleted"]);
    // A code of the authenticator is told to nobody, and neither is a wrong one.
    let world = World::new();
    let person = world.person_with_factor().await;
    person.first_step().await;
    person.with_proof("recovery_code", &"0".repeat(24)).login_mfa().await.expect(400);
    person.login_mfa().await.expect(200);
    assert_eq!(world.outbox.messages().len(), 2);
}

#[tokio::test]
async fn what_did_not_happen_is_not_told() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.mistyping().change_password(NEW_PASSWORD).await.expect(403);
    person.change_password("short").await.expect(422);
    assert!(world.outbox.messages().is_empty());
}

/// A notice costs money, so it has budgets; and a budget of its own, so that a thief cannot use it up beforehand.
#[tokio::test]
async fn notices_have_budgets_and_whoever_uses_up_the_codes_does_not_silence_them() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "3")]);
    let person = world.signed_in_person().await;
    person.verify_own_phone().await;
    for _ in 0..3 {
        person.change_phone(OTHER_PHONE).await.expect(202);
        world.advance(2);
    }
    person.change_phone(OTHER_PHONE).await.expect_limit("messages-phone");
    for _ in 0..5 {
        person.request_reset().await.expect(202);
        world.advance(2);
    }
    let mut seen = 7;
    for new in [NEW_PASSWORD, PASSWORD, NEW_PASSWORD, PASSWORD, NEW_PASSWORD] {
        person.change_password(new).await.expect(200);
    }
    // The change is made whether or not it can be told.
    assert_eq!(world.told(&mut seen), ["password-changed"; 3]);
    person.me().await.expect(200);
}

/// The budgets that strangers' requests use up are none of a notice's.
#[tokio::test]
async fn no_flood_and_no_address_uses_up_notices() {
    let world = World::with(&[
        ("LIMIT_MESSAGES_TOTAL", "1"),
        ("LIMIT_MESSAGES_PER_COUNTRY", "1"),
        ("LIMIT_MESSAGES_PER_ADDRESS", "1"),
    ]);
    let person = world.signed_in_person().await;
    person.verify_own_phone().await;
    let other = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    other.verify_phone().await.expect(429);
    let mut seen = 1;
    for new in [NEW_PASSWORD, PASSWORD, NEW_PASSWORD] {
        person.change_password(new).await.expect(200);
        assert_eq!(world.told(&mut seen), ["password-changed"]);
    }
}

/// What a phone's own budget leaves out is told the next day, and once.
#[tokio::test]
async fn a_notice_over_the_phones_own_budget_is_sent_later() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1")]);
    let person = world.signed_in_person().await;
    person.verify_own_phone().await;
    for new in [NEW_PASSWORD, PASSWORD, NEW_PASSWORD, PASSWORD] {
        person.change_password(new).await.expect(200);
    }
    let mut seen = 1;
    assert_eq!(world.told(&mut seen), ["password-changed"]);
    // Not before its time, however often the schedule asks.
    let settled = async || world.invoke("send-notices", json!({})).await.unwrap()["settled"].clone();
    assert_eq!(settled().await, 0);
    assert!(world.told(&mut seen).is_empty());
    world.advance(86_400);
    assert_eq!(settled().await, 1);
    assert_eq!(world.told(&mut seen), ["password-changed"]);
    assert_eq!(settled().await, 0);
    assert!(world.items("NOTICES").is_empty());
}

/// Two runs at once, and runs of which any call fails, send a notice once; a run that dies leaves it to a later one.
#[tokio::test]
async fn a_notice_that_waits_is_sent_once_whatever_fails() {
    let owed = async || {
        let world = World::with(&[("SMS_PROVIDER", "sns")]);
        let person = world.signed_in_person().await;
        world.verify_the_phone();
        world.emulator.sns().fail_with(Some((400, "Throttling", "too many")));
        person.change_password(NEW_PASSWORD).await.expect(200);
        world.emulator.sns().fail_with(None);
        world.advance(3600);
        world
    };
    let world = owed().await;
    let before = world.emulator.sns().requests().len();
    let runs = futures_util::future::join_all((0..8).map(|_| world.invoke("send-notices", json!({})))).await;
    let settled: u64 = runs.into_iter().map(|run| run.unwrap()["settled"].as_u64().unwrap()).sum();
    assert_eq!((settled, world.emulator.sns().requests().len() - before), (1, 1));

    for operation in ["Query", "UpdateItem", "DeleteItem"] {
        for fault in [Fault::Error("InternalServerError"), Fault::LostReply] {
            let world = owed().await;
            let before = world.emulator.sns().requests().len();
            world.emulator.faults().inject(operation, fault, 1);
            let _ = world.invoke("send-notices", json!({})).await;
            for _ in 0..3 {
                world.advance(3600);
                world.invoke("send-notices", json!({})).await.unwrap();
            }
            let sent = world.emulator.sns().requests().len() - before;
            // After it was sent, only a lost deletion can leave it to be sent again.
            assert!(sent == 1 || (operation == "DeleteItem" && sent == 2), "{operation}: {sent}");
            assert!(world.items("NOTICES").is_empty(), "{operation}");
        }
    }
}

#[tokio::test]
async fn a_notice_is_in_the_language_that_was_asked_for_and_has_no_code() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.verify_own_phone().await;
    person.with_header("accept-language", "ru").change_password(NEW_PASSWORD).await.expect(200);
    assert_eq!(world.outbox.messages()[0].text, "Latchkey: пароль изменён. Не вы? Смените его сейчас.");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_does_not_keep_a_change_from_being_answered() {
    let world = World::with(&[("SMS_PROVIDER", "sns")]).warm().await;
    let person = world.signed_in_person().await;
    world.verify_the_phone();
    world.emulator.faults().inject("Publish", Fault::Hang, 1);
    let started = tokio::time::Instant::now();
    person.change_password(NEW_PASSWORD).await.expect(200);
    assert_eq!(started.elapsed().as_millis() / 100, 15, "the provider's share; the rest is for giving back");
    person.typing(NEW_PASSWORD).login().await.expect(200);
}

/// Somebody who registers other people's numbers must not have messages sent to them, nor use up a budget by it.
#[tokio::test]
async fn a_phone_that_nobody_has_confirmed_is_told_nothing() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.change_password(NEW_PASSWORD).await.expect(200);
    person.move_to(OTHER_PHONE).await;
    assert_eq!(world.outbox.messages().len(), 1, "the code to the new phone");
}

/// A thief must not be able to use the notices up beforehand by changes that are none.
#[tokio::test]
async fn a_change_that_did_not_happen_uses_no_notice_up() {
    let world = World::with(&[("OTP_MAX_ATTEMPTS", "10")]);
    let person = world.signed_in_person().await;
    person.verify_own_phone().await;
    world.person_with_phone(OTHER_PHONE).await;
    let code = person.code_for(OTHER_PHONE).await;
    for _ in 0..10 {
        person.change_phone_verify(&code).await.expect_problem(409, "phone-taken");
    }
    assert!(world.items("LIMIT#messages-phone#notice").is_empty());
    person.change_password(NEW_PASSWORD).await.expect(200);
    assert_eq!(world.outbox.messages()[0].about, "password-changed");
}
