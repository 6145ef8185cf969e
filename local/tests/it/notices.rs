//! What the owner of a phone is told without having asked (docs/threats.md#r7, docs/threats.md#t12).

use http::Method;
use local::emulator::Fault;
use serde_json::json;

use crate::harness::{E164, NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, Request, World};

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
    let world = World::new().with_account().await;
    let mut seen = 0;
    let factor = world.switch_factor_on(PASSWORD).await;
    assert_eq!(world.told(&mut seen), ["verify-phone", "second-factor-on"]);

    let path = "/auth/mfa/recovery-codes";
    world.with_factor(path, &factor.token, PASSWORD, ("code", &factor.code(&world))).await.expect(200);
    assert_eq!(world.told(&mut seen), ["recovery-codes-replaced"]);
    world.change_password(&factor.token, PASSWORD, NEW_PASSWORD).await.expect(204);
    assert_eq!(world.told(&mut seen), ["password-changed"]);
    world.advance(30);
    let path = "/auth/mfa/disable";
    world.with_factor(path, &factor.token, NEW_PASSWORD, ("code", &factor.code(&world))).await.expect(204);
    assert_eq!(world.told(&mut seen), ["second-factor-off"]);
    world.change_phone(&factor.token, NEW_PASSWORD, OTHER_PHONE).await.expect(202);
    let code = world.last_code();
    seen += 1;
    world.change_phone_verify(&factor.token, OTHER_PHONE, &code).await.expect(204);
    assert_eq!(world.told(&mut seen), ["phone-changed"]);
}

#[tokio::test]
async fn the_use_of_a_recovery_code_is_told_wherever_it_is_shown() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let mut seen = 2;
    let mut codes = factor.recovery_codes.iter();
    let mut next = || codes.next().unwrap().as_str();

    let mfa_token = world.mfa_token(PASSWORD).await;
    let token = world.login_mfa(&mfa_token, ("recovery_code", next())).await.expect(200).tokens().0;
    assert_eq!(world.told(&mut seen), ["recovery-code-used"]);
    world.with_factor("/auth/mfa/enroll", &token, PASSWORD, ("recovery_code", next())).await.expect(200);
    assert_eq!(world.told(&mut seen), ["recovery-code-used"]);
    let otp = world.code(PHONE).await;
    let body = json!({"phone": PHONE, "otp": otp, "new_password": RESET_PASSWORD, "recovery_code": next()});
    world.post("/auth/verify-reset", body).await.expect(204);
    // The reset itself was told by its code.
    assert_eq!(world.told(&mut seen), ["reset", "recovery-code-used"]);
    let mfa_token = world.mfa_token(RESET_PASSWORD).await;
    let token = world.login_mfa(&mfa_token, ("recovery_code", next())).await.expect(200).tokens().0;
    world.told(&mut seen);
    let body = json!({"password": RESET_PASSWORD, "phone": OTHER_PHONE, "recovery_code": next()});
    world.send(Request::post("/auth/change-phone", body).bearer(&token)).await.expect(202);
    let (messages, total) = world.outbox.messages_after(seen);
    let told: Vec<_> = messages.iter().map(|message| (message.about, message.to.as_e164() == E164)).collect();
    assert_eq!(told, [("recovery-code-used", true), ("change-phone", false)]);
    seen = total;
    world.delete_me(&token, RESET_PASSWORD, ("recovery_code", next())).await.expect(204);
    assert_eq!(world.told(&mut seen), ["recovery-code-used"]);
    // A code of the authenticator is told to nobody, and neither is a wrong one.
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("recovery_code", &"0".repeat(24))).await.expect(400);
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect(200);
    assert_eq!(world.outbox.messages().len(), 2);
}

#[tokio::test]
async fn what_did_not_happen_is_not_told() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.change_password(&token, "wrong password", NEW_PASSWORD).await.expect(403);
    world.change_password(&token, PASSWORD, "short").await.expect(422);
    assert!(world.outbox.messages().is_empty());
}

/// A notice costs money, so it has budgets; and a budget of its own, so that a thief cannot use it up beforehand.
#[tokio::test]
async fn notices_have_budgets_and_whoever_uses_up_the_codes_does_not_silence_them() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "3")]).with_account().await;
    let token = world.token(PASSWORD).await;
    world.verified(&token).await;
    for _ in 0..2 {
        world.request_reset(PHONE).await.expect(202);
        world.advance(2);
    }
    world.request_reset(PHONE).await.expect_limit("messages-phone");
    let mut seen = 3;
    let passwords = [PASSWORD, NEW_PASSWORD];
    for at in 0..5 {
        world.change_password(&token, passwords[at % 2], passwords[(at + 1) % 2]).await.expect(204);
    }
    // The change is made whether or not it can be told.
    assert_eq!(world.told(&mut seen), ["password-changed"; 3]);
    world.bearer(Method::GET, "/auth/me", &token).await.expect(200);
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_no_reason_to_fail() {
    let world = World::with(&[("LIMIT_MESSAGES_TOTAL", "1")]).with_account().await;
    let token = world.token(PASSWORD).await;
    world.verified(&token).await;
    world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    assert_eq!(world.outbox.messages().len(), 1);
    let counted = world.metrics.take();
    assert!(counted.iter().any(|line| line["MessagesBudgetReached"] == 1 && line["Bucket"] == "messages-total"));
}

#[tokio::test]
async fn a_notice_is_in_the_language_that_was_asked_for_and_has_no_code() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.verified(&token).await;
    let body = json!({"old_password": PASSWORD, "new_password": NEW_PASSWORD});
    let request = Request::post("/auth/change-password", body).bearer(&token).header("accept-language", "ru");
    world.send(request).await.expect(204);
    assert_eq!(world.outbox.messages()[0].text, "Latchkey: пароль изменён. Не вы? Смените его сейчас.");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_does_not_keep_a_change_from_being_answered() {
    let world = World::with(&[("SMS_PROVIDER", "sns")]).with_account().await.warm().await;
    let token = world.token(PASSWORD).await;
    let mut profile = world.item("USER#", "PROFILE");
    profile["phone_verified_at"] = json!({"N": "1800000000000"});
    world.put_item(&profile);
    world.emulator.faults().inject("Publish", Fault::Hang, 1);
    let started = tokio::time::Instant::now();
    world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    assert_eq!(started.elapsed().as_secs(), 2);
    world.login(PHONE, NEW_PASSWORD).await.expect(200);
}

/// Whoever registers other people's numbers must not have messages sent to them, nor close a breaker by it.
#[tokio::test]
async fn a_phone_that_nobody_has_confirmed_is_told_nothing() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.change_phone(&token, NEW_PASSWORD, OTHER_PHONE).await.expect(202);
    world.change_phone_verify(&token, OTHER_PHONE, &world.last_code()).await.expect(204);
    assert_eq!(world.outbox.messages().len(), 1, "the code to the new phone");
}

/// A thief must not be able to use the notices up beforehand by changes that are none.
#[tokio::test]
async fn a_change_that_did_not_happen_uses_no_notice_up() {
    let world = World::with(&[("OTP_MAX_ATTEMPTS", "10")]).with_account().await;
    let token = world.token(PASSWORD).await;
    world.verified(&token).await;
    world.register(OTHER_PHONE, PASSWORD).await.expect(201);
    world.change_phone(&token, PASSWORD, OTHER_PHONE).await.expect(202);
    let code = world.last_code();
    for _ in 0..10 {
        world.change_phone_verify(&token, OTHER_PHONE, &code).await.expect_problem(409, "phone-taken");
    }
    assert!(world.items("LIMIT#messages-phone#notice").is_empty());
    world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    assert_eq!(world.outbox.messages()[0].about, "password-changed");
}

#[tokio::test]
async fn one_address_has_so_many_notices() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_ADDRESS", "2")]).with_account().await;
    let token = world.token(PASSWORD).await;
    world.verified(&token).await;
    for (old, new) in [(PASSWORD, NEW_PASSWORD), (NEW_PASSWORD, PASSWORD), (PASSWORD, NEW_PASSWORD)] {
        world.change_password(&token, old, new).await.expect(204);
    }
    assert_eq!(world.outbox.messages().len(), 3, "the code, and two notices");
}
