//! `POST /auth/code/verify`

use serde_json::json;

use crate::{
    harness::{E164, NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, Person, World, another_code},
    jwt_attacks::Parts,
};

impl Person {
    fn amr(&self) -> serde_json::Value {
        Parts::of(&self.access_token()).claims["amr"].clone()
    }
}

#[tokio::test]
async fn a_code_signs_up_and_signs_in_the_same_account() {
    let world = World::new();
    let person = world.visitor(PHONE);
    person.sign_in_by_code().await;
    let me = person.me().await.expect(200).body;
    assert_eq!((&me["phone"], &me["phone_verified"], &me["has_password"]), (&json!(E164), &json!(true), &json!(false)));
    assert_eq!(person.amr(), json!(["sms"]));
    person.refresh().await.expect(200);
    assert_eq!(person.amr(), json!(["sms"]), "after a refresh too");

    let laptop = person.on_another_device();
    laptop.sign_in_by_code().await;
    assert_eq!(laptop.me().await.expect(200).body["id"], me["id"]);
    assert_eq!(person.sessions().await.expect(200).body["sessions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_account_with_a_password_is_signed_in_to_either_way() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let id = person.me().await.expect(200).body["id"].clone();
    let laptop = person.on_another_device();
    laptop.sign_in_by_code().await;
    let me = laptop.me().await.expect(200).body;
    assert_eq!((&me["id"], &me["has_password"], &me["phone_verified"]), (&id, &json!(true), &json!(true)));
    person.me().await.expect(200);
    person.on_another_device().sign_in().await;
}

#[tokio::test]
async fn an_account_without_a_password_takes_none() {
    let world = World::new();
    let person = world.person_by_code().await;
    let before = world.hashes();
    person.typing(PASSWORD).login().await.expect_problem(401, "invalid-credentials");
    assert_eq!(world.hashes() - before, 1, "the same work as for a wrong password");
    person.register().await.expect_problem(409, "phone-taken");
}

#[tokio::test]
async fn the_second_factor_is_asked_for_on_top() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let laptop = person.on_another_device();
    laptop.ask_code().await.expect(202);
    let code = laptop.code();
    laptop.verify_code(&code).await.expect_problem(403, "mfa-required");
    laptop.login_mfa().await.expect(200);
    assert_eq!(laptop.amr(), json!(["sms", "otp", "mfa"]));
    laptop.refresh().await.expect(200);
    assert_eq!(laptop.amr(), json!(["sms", "otp", "mfa"]));
}

#[tokio::test]
async fn a_code_works_with_its_own_challenge_alone() {
    let world = World::new();
    let person = world.visitor(PHONE);
    let phisher = person.on_another_device();
    phisher.ask_code().await.expect(202);
    world.advance(2);
    person.ask_code().await.expect(202);
    let code = person.code();
    // Who has talked the owner into reading the code out has another challenge.
    phisher.verify_code(&code).await.expect_problem(400, "invalid-otp");
    for path in ["/auth/activate", "/auth/verify-reset", "/auth/verify-phone/confirm"] {
        let body =
            json!({"phone": PHONE, "activation_id": person.challenge(), "otp": code, "new_password": NEW_PASSWORD});
        assert!(phisher.post(path, body).await.status >= 400, "{path}");
    }
    person.verify_code(&another_code(&code)).await.expect_problem(400, "invalid-otp");
    person.verify_code(&code).await.expect(200);
    phisher.verify_code(&code).await.expect_problem(400, "invalid-otp");
    person.resend_code().await.expect_problem(422, "invalid-request");
}

/// Whose response was lost gets it again: the tokens of the same session, as long as nobody has used one.
#[tokio::test]
async fn a_sign_in_that_is_repeated_gets_the_same_session_until_its_tokens_are_used() {
    for is_known in [false, true] {
        let world = World::new();
        let person = if is_known { world.person().await } else { world.visitor(PHONE) };
        person.ask_code().await.expect(202);
        let code = person.code();
        let late = person.with_copied_tokens();
        person.verify_code(&code).await.expect(200);
        for _ in 0..7 {
            late.verify_code(&code).await.expect(200);
        }
        assert!(late.refresh_token() == person.refresh_token());
        assert_eq!(person.sessions().await.expect(200).body["sessions"].as_array().unwrap().len(), 1);
        assert_eq!(world.items("USER#").iter().filter(|item| item["sk"]["S"] == "PROFILE").count(), 1);
        // Wrong codes are counted as before, and after five nothing is compared.
        late.verify_code(&another_code(&code)).await.expect_problem(400, "invalid-otp");
        late.verify_code(&code).await.expect(200);
        person.refresh().await.expect(200);
        late.verify_code(&code).await.expect_problem(400, "invalid-otp");
        person.me().await.expect(200);
    }
}

#[tokio::test]
async fn nothing_is_repeated_after_the_codes_life_or_the_sessions() {
    let world = World::new();
    let person = world.visitor(PHONE);
    person.ask_code().await.expect(202);
    let (code, late) = (person.code(), person.with_copied_tokens());
    person.verify_code(&code).await.expect(200);
    world.advance(299);
    late.verify_code(&code).await.expect(200);
    world.advance(1);
    late.verify_code(&code).await.expect_problem(400, "invalid-otp");
    // Nor does a code bring a session back that was ended.
    person.ask_code().await.expect(202);
    let (code, late) = (person.code(), person.with_copied_tokens());
    person.verify_code(&code).await.expect(200);
    person.logout().await.expect(204);
    late.verify_code(&code).await.expect_problem(400, "invalid-otp");
    // After five wrong ones, the right one is not compared any more.
    world.advance(2);
    person.ask_code().await.expect(202);
    let (code, late) = (person.code(), person.with_copied_tokens());
    person.verify_code(&code).await.expect(200);
    for _ in 0..5 {
        late.verify_code(&another_code(&code)).await.expect_problem(400, "invalid-otp");
    }
    late.verify_code(&code).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn a_first_step_that_is_repeated_leads_to_the_same_second_step() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let laptop = person.on_another_device();
    laptop.ask_code().await.expect(202);
    let (code, late) = (laptop.code(), laptop.with_copied_tokens());
    laptop.verify_code(&code).await.expect_problem(403, "mfa-required");
    late.verify_code(&code).await.expect_problem(403, "mfa-required");
    let steps =
        world.items("USER#").into_iter().filter(|item| item["sk"]["S"].as_str().unwrap().starts_with("MFA#LOGIN#"));
    assert_eq!(steps.count(), 1);
    late.login_mfa().await.expect(200);
    late.me().await.expect(200);
    // It was the same sign-in, which is over.
    laptop.with_recovery_code(0).login_mfa().await.expect_problem(401, "invalid-token");
}

/// Sessions that codes start are counted like those that passwords start.
#[tokio::test]
async fn the_twenty_first_sign_in_by_code_ends_the_session_unused_longest() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "100")]);
    let person = world.person_by_code().await;
    let mut devices = vec![person.clone()];
    for _ in 0..20 {
        let device = person.on_another_device();
        device.sign_in_by_code().await;
        devices.push(device);
    }
    devices[0].me().await.expect_problem(401, "invalid-token");
    devices[1].me().await.expect(200);
    assert_eq!(devices[20].sessions().await.expect(200).body["sessions"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn a_challenge_allows_five_tries_and_five_minutes() {
    let world = World::new();
    let person = world.visitor(PHONE);
    person.ask_code().await.expect(202);
    let code = person.code();
    for _ in 0..5 {
        person.verify_code(&another_code(&code)).await.expect_problem(400, "invalid-otp");
    }
    person.verify_code(&code).await.expect_problem(400, "invalid-otp");

    world.advance(2);
    person.ask_code().await.expect(202);
    world.advance(300);
    person.verify_code(&person.code()).await.expect_problem(400, "invalid-otp");
    for challenge in ["", "x", &person.challenge().to_lowercase()] {
        let body = json!({"challenge": challenge, "otp": "123456"});
        world.post("/auth/code/verify", body).await.expect_problem(400, "invalid-otp");
    }
}

/// A hundred guesses a day at most, however many codes a phone may be sent and whether or not their messages are.
#[tokio::test]
async fn the_codes_of_a_day_have_a_hundred_tries_in_all() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")]);
    let person = world.person().await;
    let messages = || world.outbox.messages().iter().filter(|message| message.to.as_e164() == E164).count();
    let (laptop, unknown) = (person.on_another_device(), world.visitor(OTHER_PHONE));
    let mut last_sent = None;
    for _ in 0..25 {
        let known = laptop.ask_code().await.expect(202);
        assert!(known.fingerprint() == unknown.ask_code().await.fingerprint());
        let sent = messages();
        if last_sent.as_ref().is_none_or(|(before, _)| *before != sent) {
            last_sent = Some((sent, laptop.with_copied_tokens()));
        }
        world.advance(1);
    }
    let (sent, last_sent) = last_sent.unwrap();
    assert_eq!(sent, 20);
    // A right one shows that the owner has the phone, and forgives.
    last_sent.verify_code(&laptop.code()).await.expect(200);
    laptop.sign_in_by_code().await;
}

/// The tries at strangers' challenges, whose messages may be withheld, use up nothing of the owner's.
#[tokio::test]
async fn a_strangers_guesses_do_not_close_the_owners_sign_in() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "15"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")]);
    let person = world.person_by_code().await;
    person.ask_code().await.expect(202);
    let code = person.code();
    world.advance(1);
    let stranger = person.on_another_device().at("203.0.113.66");
    for _ in 0..40 {
        stranger.ask_code().await.expect(202);
        for _ in 0..6 {
            stranger.verify_code(&another_code(&code)).await.expect_problem(400, "invalid-otp");
        }
        world.advance(1);
    }
    assert!(world.items("LIMIT#otp-phone").is_empty());
    person.verify_code(&code).await.expect(200);
    world.advance(86_400);
    person.sign_in_by_code().await;
}

#[tokio::test]
async fn a_code_dies_with_a_change_of_the_account() {
    for change in ["password", "logout-all", "delete", "move", "register"] {
        let world = World::new();
        let person = if change == "register" { world.visitor(PHONE) } else { world.signed_in_person().await };
        let laptop = person.on_another_device();
        laptop.ask_code().await.expect(202);
        let code = laptop.code();
        match change {
            "password" => person.change_password(NEW_PASSWORD).await.expect(200),
            "logout-all" => person.logout_all().await.expect(204),
            "delete" => person.delete_account().await.expect(204),
            "move" => {
                world.advance(2);
                person.move_to(OTHER_PHONE).await;
                person.me().await.expect(200)
            }
            _ => person.register().await.expect(201),
        };
        laptop.verify_code(&code).await.expect_problem(400, "invalid-otp");
        assert!(world.items("PHONE#").iter().filter(|item| !item["user_id"].is_null()).count() <= 2, "{change}");
        if change == "delete" {
            // The number is free, and its next owner gets an account of their own.
            world.advance(2);
            laptop.sign_in_by_code().await;
        }
    }
}

#[tokio::test]
async fn a_disabled_account_is_sent_no_code_and_opened_by_none() {
    let world = World::with(&[("OTP_EXPOSE", "true")]);
    let person = world.person_by_code().await;
    let laptop = person.on_another_device();
    let before = laptop.ask_code().await.expect(202).text("otp").to_owned();
    let phone = latchkey::domain::phone::Phone::from_stored(E164).unwrap();
    let (profile, _) = world.store().account_by_phone(&phone).await.unwrap().unwrap();
    world.store().disable_account(&profile, world.clock.now()).await.unwrap();
    laptop.verify_code(&before).await.expect_problem(400, "invalid-otp");
    world.advance(2);
    let sent = world.outbox.messages().len();
    let after = laptop.ask_code().await.expect(202).text("otp").to_owned();
    laptop.verify_code(&after).await.expect_problem(400, "invalid-otp");
    assert_eq!(world.outbox.messages().len(), sent);
}

#[tokio::test]
async fn an_account_without_a_password_is_exported_moved_and_deleted() {
    let world = World::new();
    let person = world.person_by_code().await;
    let export = person.export().await.expect(200).body;
    assert_eq!((&export["account"]["has_password"], &export["sessions"][0]["method"]), (&json!(false), &json!("sms")));
    person.move_to(OTHER_PHONE).await;
    assert_eq!(person.me().await.expect(200).body["has_password"], false);
    person.switch_factor_on().await;
    person.with_code().delete_account().await.expect(204);
    person.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn what_asks_for_the_password_asks_an_account_without_one_for_a_recent_proof() {
    let world = World::new();
    let person = world.person_by_code().await;
    world.advance(601);
    person.refresh().await.expect(200);
    person.change_phone(OTHER_PHONE).await.expect_problem(403, "reauthentication-required");
    person.mfa_enroll().await.expect_problem(403, "reauthentication-required");
    person.set_password(PASSWORD).await.expect_problem(403, "reauthentication-required");
    let reply = person.delete_account().await.expect_problem(403, "reauthentication-required");
    assert!(reply.text("detail").contains("POST /auth/step-up"));
    person.ask_code().await.expect(202);
    person.step_up_by_code(&person.code()).await.expect(200);
    person.mfa_enroll().await.expect(200);
    person.delete_account().await.expect(204);
}

#[tokio::test]
async fn an_account_with_a_password_is_still_asked_for_it() {
    let world = World::new();
    let person = world.signed_in_person().await.without_password();
    for reply in [person.change_phone(OTHER_PHONE).await, person.mfa_enroll().await, person.delete_account().await] {
        let reply = reply.expect_problem(422, "invalid-request");
        assert_eq!(reply.body["errors"][0]["pointer"], "/password");
    }
}
