//! `POST /auth/verify-reset`

use serde_json::json;

use crate::harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, THIRD_PHONE, World, another_code};

#[tokio::test]
async fn the_right_code_sets_the_password_ends_every_session_and_verifies_the_phone() {
    let person = World::new().signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    person.reset_password(RESET_PASSWORD).await;

    for device in [&person, &laptop] {
        device.me().await.expect_problem(401, "invalid-token");
    }
    person.typing(PASSWORD).login().await.expect_problem(401, "invalid-credentials");
    person.typing(RESET_PASSWORD).login().await.expect(200);
    assert_eq!(person.me().await.expect(200).body["phone_verified"], true);
}

#[tokio::test]
async fn a_code_has_five_tries() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    for _ in 0..4 {
        person.verify_reset(&another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);

    world.advance(1);
    let code = person.reset_code().await;
    for _ in 0..5 {
        person.verify_reset(&another_code(&code), NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    person.typing(RESET_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn wrong_expired_used_and_never_sent_codes_get_the_same_answer() {
    let world = World::new();
    let person = world.person().await;
    let never_sent = person.verify_reset("123456", RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    let unknown = world.visitor(OTHER_PHONE).verify_reset("123456", RESET_PASSWORD).await;
    let code = person.reset_code().await;
    let wrong = person.verify_reset(&another_code(&code), RESET_PASSWORD).await;
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    let used = person.verify_reset(&code, NEW_PASSWORD).await;
    world.advance(1);
    let code = person.reset_code().await;
    world.advance(300);
    let expired = person.verify_reset(&code, NEW_PASSWORD).await;
    for other in [unknown, wrong, used, expired] {
        assert!(other.fingerprint() == never_sent.fingerprint());
    }
    person.typing(RESET_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn a_code_lives_for_five_minutes_although_its_item_lives_longer() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    world.advance(299);
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);

    let code = person.reset_code().await;
    world.advance(300);
    assert!(world.item("PHONE#", "OTP#reset")["codes"]["L"].is_array(), "nothing has collected it");
    person.verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn the_lifetime_and_the_tries_are_as_configured() {
    let world = World::with(&[("OTP_TTL_SECONDS", "60"), ("OTP_MAX_ATTEMPTS", "2")]);
    let person = world.person().await;
    let code = person.reset_code().await;
    world.advance(60);
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    let code = person.reset_code().await;
    for _ in 0..2 {
        person.verify_reset(&another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn wrong_codes_add_up_over_new_codes_to_a_hundred() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")]);
    let person = world.person().await;
    let mut judged = 0;
    let mut code = String::new();
    for _ in 0..20 {
        world.advance(300);
        code = person.reset_code().await;
        for _ in 0..5 {
            let reply = person.verify_reset(&another_code(&code), RESET_PASSWORD).await;
            judged += u32::from(reply.code() == "invalid-otp");
        }
    }
    assert_eq!(judged, 100);
    let wait = person.verify_reset(&code, RESET_PASSWORD).await.expect_limit("otp-phone");
    assert!(wait <= 24 * 3600);
    person.login().await.expect(200);

    // When the window is over, the next code begins a new one.
    world.advance(wait - 60);
    let code = person.reset_code().await;
    assert_eq!(person.verify_reset(&code, RESET_PASSWORD).await.expect_limit("otp-phone"), 60);
    world.advance(60);
    person.reset_password(RESET_PASSWORD).await;
}

#[tokio::test]
async fn a_code_opens_with_its_challenge_or_its_phone_and_once() {
    for by_challenge_first in [true, false] {
        let world = World::new();
        let person = world.signed_in_person().await;
        let code = person.reset_code().await;
        let by_challenge = async |new: &str| person.verify_reset_by_challenge(&code, new).await;
        let by_phone = async |new: &str| person.verify_reset(&code, new).await;
        if by_challenge_first {
            by_challenge(RESET_PASSWORD).await.expect(204);
            by_phone(NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
        } else {
            by_phone(RESET_PASSWORD).await.expect(204);
            by_challenge(NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
        }
        person.me().await.expect_problem(401, "invalid-token");
        person.typing(NEW_PASSWORD).login().await.expect_problem(401, "invalid-credentials");
        person.typing(RESET_PASSWORD).login().await.expect(200);
        assert_eq!(person.me().await.expect(200).body["phone_verified"], true);
    }
}

#[tokio::test]
async fn a_strangers_guesses_burn_the_strangers_own_code() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")]);
    let owner = world.person().await;
    let stranger = owner.on_another_device().at("203.0.113.66");
    let code = owner.reset_code().await;
    world.advance(1);
    stranger.request_reset().await.expect(202);
    let wrong = another_code(&code);
    for _ in 0..6 {
        stranger.verify_reset_by_challenge(&wrong, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
        stranger.verify_reset(&wrong, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    owner.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    owner.verify_reset_by_challenge(&code, RESET_PASSWORD).await.expect(204);
    owner.sign_in().await;
}

/// The phone's hundred tries are used up, and the message is sent all the same.
#[tokio::test]
async fn a_stranger_who_uses_up_the_tries_of_a_phone_does_not_close_its_reset() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")]);
    let owner = world.person().await;
    world.verify_the_phone();
    let stranger = owner.on_another_device().at("203.0.113.66");
    for _ in 0..19 {
        world.advance(1);
        let code = stranger.reset_code().await;
        for _ in 0..6 {
            stranger.verify_reset(&another_code(&code), NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
        }
    }
    let wrong = another_code(&owner.code());
    world.advance(300);
    let code = owner.reset_code().await;
    for _ in 0..5 {
        stranger.verify_reset(&wrong, NEW_PASSWORD).await;
    }
    owner.verify_reset(&code, RESET_PASSWORD).await.expect_limit("otp-phone");
    owner.verify_reset_by_challenge(&code, RESET_PASSWORD).await.expect(204);
}

/// Who presses "send again" may type either code, as everywhere.
#[tokio::test]
async fn another_code_may_be_sent_for_a_challenge_and_either_works() {
    for typed in [0, 1] {
        for known_device in [false, true] {
            let world = World::new();
            let person = world.signed_in_person().await;
            person.verify_own_phone().await;
            world.advance(2);
            let token = known_device.then(|| person.device_token());
            let ask = async |challenge: Option<&str>| {
                let body = json!({"phone": PHONE, "challenge": challenge, "device_token": token});
                world.post("/auth/request-reset", body).await
            };
            let first = ask(None).await.expect(202).text("challenge").to_owned();
            let mut codes = vec![person.code()];
            ask(Some(&first)).await.expect_limit("messages-cooldown");
            world.advance(1);
            let again = ask(Some(&first)).await.expect(202).text("challenge").to_owned();
            codes.push(person.code());
            assert!(again != first, "sealed anew");
            let enter = async |challenge: &str, otp: &str, new: &str| {
                let body = json!({"challenge": challenge, "otp": otp, "new_password": new});
                world.post("/auth/verify-reset", body).await
            };
            enter(&again, &another_code(&another_code(&codes[0])), RESET_PASSWORD).await;
            enter(if typed == 0 { &again } else { &first }, &codes[typed], RESET_PASSWORD).await.expect(204);
            enter(&again, &codes[1 - typed], NEW_PASSWORD).await.expect(400);
            person.typing(RESET_PASSWORD).login().await.expect(200);
        }
    }
}

#[tokio::test]
async fn another_code_for_a_challenge_tells_nobody_who_is_registered() {
    let world = World::new();
    let (person, unknown) = (world.person().await, world.visitor(OTHER_PHONE));
    let mut told = Vec::new();
    for asker in [&person, &unknown] {
        asker.request_reset().await.expect(202);
        world.advance(1);
        told.push(asker.request_reset_again().await.expect(202).fingerprint());
    }
    assert!(told[0] == told[1]);
    let body = json!({"phone": OTHER_PHONE, "challenge": person.reset_challenge()});
    world.post("/auth/request-reset", body).await.expect_fields(&["/challenge"]);
    let body = json!({"phone": PHONE, "challenge": "x"});
    world.post("/auth/request-reset", body).await.expect_fields(&["/challenge"]);
}

/// Five tries for each code, however it is asked for, and twenty codes a day.
#[tokio::test]
async fn another_code_for_a_challenge_has_five_tries_and_counts_as_a_code() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")]);
    let person = world.person().await;
    person.request_reset().await.expect(202);
    let mut wrong = 0;
    for _ in 0..24 {
        for _ in 0..10 {
            let reply = person.verify_reset_by_challenge(&another_code(&person.code()), RESET_PASSWORD).await;
            assert!([400, 429].contains(&reply.status));
        }
        let challenges = world.items("PHONE#");
        let challenge = challenges.iter().find(|item| item["sk"]["S"].as_str().unwrap().starts_with("OTP#reset#"));
        wrong = challenge.unwrap()["attempts"]["N"].as_str().unwrap().parse().unwrap();
        world.advance(1);
        person.request_reset_again().await.expect(202);
    }
    assert_eq!(wrong, 100, "of a day");
    assert_eq!(world.outbox.messages_after(0).1, 20);
}

#[tokio::test]
async fn a_challenge_has_five_tries_and_one_code() {
    let world = World::new();
    let person = world.person().await;
    let first = person.reset_code().await;
    let laptop = person.on_another_device();
    world.advance(1);
    let second = laptop.reset_code().await;
    for _ in 0..5 {
        // The code of another challenge is a wrong one.
        let wrong = if first == second { another_code(&first) } else { second.clone() };
        person.verify_reset_by_challenge(&wrong, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset_by_challenge(&first, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    laptop.verify_reset_by_challenge(&second, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn a_challenge_is_for_its_own_purpose() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    person.ask_code().await.expect(202);
    let (of_sign_in, of_reset) = (person.challenge(), person.reset_challenge());
    let sign_in_code = person.code();
    for (path, body) in [
        ("/auth/verify-reset", json!({"challenge": of_sign_in, "otp": sign_in_code, "new_password": RESET_PASSWORD})),
        ("/auth/code/verify", json!({"challenge": of_reset, "otp": code})),
        ("/auth/verify-reset", json!({"challenge": "AgEe", "otp": code, "new_password": RESET_PASSWORD})),
    ] {
        world.post(path, body).await.expect_problem(400, "invalid-otp");
    }
    world.post("/auth/code/resend", json!({"challenge": of_reset})).await.expect_fields(&["/challenge"]);
    assert_eq!(world.item("PHONE#", "OTP#reset")["attempts"]["N"], "0");
    person.verify_reset_by_challenge(&code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn a_request_names_the_phone_or_the_challenge_and_not_both() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    let challenge = person.reset_challenge();
    let with = |members: serde_json::Value| {
        let mut body = json!({"otp": code, "new_password": RESET_PASSWORD});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        world.post("/auth/verify-reset", body)
    };
    with(json!({})).await.expect_fields(&["/phone"]);
    with(json!({"phone": PHONE, "challenge": challenge})).await.expect_fields(&["/challenge"]);
    with(json!({"challenge": 1})).await.expect_fields(&["/challenge"]);
    with(json!({"challenge": challenge, "new_password": PHONE})).await.expect_fields(&["/new_password"]);
    with(json!({"phone": null, "challenge": challenge})).await.expect(204);
}

#[tokio::test]
async fn a_challenge_tells_nobody_who_is_registered() {
    let world = World::new().warm().await;
    world.person().await;
    let disabled = world.person_with_phone(THIRD_PHONE).await;
    crate::admin::act(&world, admin::users::Action::Disable, THIRD_PHONE).await.0.unwrap();
    let mut told = Vec::new();
    for person in [world.visitor(PHONE), world.visitor(OTHER_PHONE), disabled] {
        person.request_reset().await.expect(202);
        world.calls();
        let mut replies = Vec::new();
        for _ in 0..7 {
            let reply = person.verify_reset_by_challenge("000000", RESET_PASSWORD).await;
            replies.push((reply.fingerprint(), world.permissions_used()));
        }
        told.push(replies);
    }
    assert!(told[0] == told[1] && told[1] == told[2]);
}

/// A hundred guesses a day at most, however many codes a phone may be sent and whether or not their messages are.
#[tokio::test]
async fn the_codes_of_a_day_have_a_hundred_tries_in_all() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")]);
    let (person, stranger) = (world.person().await, world.visitor(OTHER_PHONE));
    for _ in 0..25 {
        let known = person.request_reset().await.expect(202);
        assert!(known.fingerprint() == stranger.request_reset().await.fingerprint());
        world.advance(1);
    }
    assert_eq!(world.outbox.messages_after(0).1, 20);
    // A right one shows that the owner has the phone, and forgives.
    let code = person.code();
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    world.advance(1);
    let code = person.reset_code().await;
    person.verify_reset_by_challenge(&code, NEW_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn a_reset_by_challenge_asks_for_the_second_factor_and_is_repeated_as_it_was() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let code = person.reset_code().await;
    person.verify_reset_by_challenge(&code, RESET_PASSWORD).await.expect_problem(403, "mfa-required");
    for _ in 0..5 {
        person
            .with_wrong_code()
            .verify_reset_by_challenge(&code, RESET_PASSWORD)
            .await
            .expect_problem(400, "invalid-otp");
    }
    let shown = person.with_code();
    shown.verify_reset_by_challenge(&code, RESET_PASSWORD).await.expect(204);
    shown.verify_reset_by_challenge(&code, RESET_PASSWORD).await.expect(204);
    person.verify_reset_by_challenge(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    person.first_step().await;
}

#[tokio::test]
async fn a_right_code_forgives_the_wrong_ones() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")]);
    let person = world.person().await;
    for _ in 0..30 {
        let code = person.reset_code().await;
        for _ in 0..4 {
            person.verify_reset(&another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
        }
        person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
        world.advance(300);
    }
}

#[tokio::test]
async fn a_code_is_for_its_own_phone() {
    let world = World::new();
    let (person, other) = (world.person().await, world.person_with_phone(OTHER_PHONE).await);
    let (code, other_code) = (person.reset_code().await, other.reset_code().await);
    if code != other_code {
        other.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    world.visitor("+20 10 1234 5678").verify_reset(&code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn what_is_no_text_of_six_digits_is_no_try() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    for otp in
        [json!(123_456), json!([code]), json!(""), json!(null), json!("12345"), json!("12345x"), json!("+123456")]
    {
        let body = json!({"phone": PHONE, "otp": otp, "new_password": RESET_PASSWORD});
        world.post("/auth/verify-reset", body).await.expect_fields(&["/otp"]);
    }
    assert_eq!(world.item("PHONE#", "OTP#reset")["attempts"]["N"], "0");
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn a_reset_signs_in_if_it_is_asked_to() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let laptop = person.on_another_device();
    let code = laptop.reset_code().await;
    let reset = async |person: &crate::harness::Person, totp: Option<String>| {
        let body = serde_json::json!({"phone": PHONE, "otp": code, "new_password": RESET_PASSWORD, "code": totp, "sign_in": true});
        person.post("/auth/verify-reset", body).await
    };
    reset(&laptop, None).await.expect_problem(403, "mfa-required");
    reset(&laptop, Some(person.authenticator().code())).await.expect(200);
    laptop.me().await.expect(200);
    person.me().await.expect_problem(401, "invalid-token");
    let amr = crate::jwt_attacks::Parts::of(&laptop.access_token()).claims["amr"].clone();
    assert_eq!(amr, serde_json::json!(["sms", "otp", "mfa"]));
    laptop.refresh().await.expect(200);
}
