//! `POST /auth/change-phone/verify`

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{
    E164, NEW_PASSWORD, OTHER_E164, OTHER_PHONE, PHONE, Person, RESET_PASSWORD, THIRD_PHONE, World, another_code,
};

/// Somebody who has asked for another phone, and the code that was sent there.
async fn moving() -> (World, Person, String) {
    let world = World::new();
    let person = world.signed_in_person().await;
    let code = person.code_for(OTHER_PHONE).await;
    (world, person, code)
}

#[tokio::test]
async fn the_account_has_the_new_phone_and_the_old_one_is_free() {
    let (world, person, code) = moving().await;
    let before = person.me().await.expect(200);
    person.change_phone_verify(&code).await.expect(200);
    let after = person.me().await.expect(200);
    assert_eq!((after.text("id"), after.text("phone")), (before.text("id"), OTHER_E164));
    assert_eq!(after.body["phone_verified"], true);

    world.visitor(PHONE).login().await.expect_problem(401, "invalid-credentials");
    let laptop = person.on_another_device().signed_in().await;
    laptop.refresh().await.expect(200);
    let newcomer = world.visitor(PHONE).typing(NEW_PASSWORD);
    assert!(newcomer.register().await.expect(201).text("id") != after.text("id"));
    newcomer.login().await.expect(200);
}

#[tokio::test]
async fn the_old_phone_is_told_and_cannot_reset_any_more() {
    let (world, person, code) = moving().await;
    person.verify_own_phone().await;
    world.advance(2);
    let reset = person.reset_code().await;
    person.change_phone_verify(&code).await.expect(200);
    let notice = world.outbox.messages().remove(0);
    assert_eq!(notice.to.as_e164(), E164);
    assert!(notice.text.contains("another phone number") && !notice.text.contains(&OTHER_E164[3..]));
    let old_phone = world.visitor(PHONE);
    old_phone.verify_reset(&reset, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    let messages = world.outbox.messages().len();
    world.advance(2);
    old_phone.request_reset().await.expect(202);
    assert_eq!(world.outbox.messages().len(), messages, "nobody has it any more");
}

#[tokio::test]
async fn every_other_session_ends() {
    let (_, person, code) = moving().await;
    let laptop = person.on_another_device().signed_in().await;
    person.change_phone_verify(&code).await.expect(200);
    laptop.me().await.expect_problem(401, "invalid-token");
    laptop.refresh().await.expect_problem(401, "invalid-token");
    person.me().await.expect(200);
}

#[tokio::test]
async fn there_and_back_again() {
    let (world, person, code) = moving().await;
    person.change_phone_verify(&code).await.expect(200);
    for phone in [PHONE, OTHER_PHONE] {
        world.advance(2);
        person.move_to(phone).await;
    }
    world.visitor(OTHER_PHONE).login().await.expect(200);
    world.visitor(PHONE).login().await.expect(401);
}

#[tokio::test]
async fn a_phone_that_was_taken_meanwhile_is_told_to_its_owner() {
    let (world, person, code) = moving().await;
    let owner = world.person_with_phone(OTHER_PHONE).await;
    person.change_phone_verify(&code).await.expect_problem(409, "phone-taken");
    person.login().await.expect(200);
    owner.login().await.expect(200);
}

/// A claim that is not verified must not keep the number's owner out.
#[tokio::test]
async fn two_who_want_one_number_do_not_stand_in_each_others_way() {
    let world = World::new();
    let stranger = world.signed_in_person().await;
    let owner = world.person_with_phone(THIRD_PHONE).await.signed_in().await;
    let owners_code = owner.code_for(OTHER_PHONE).await;
    world.advance(2);
    let strangers_code = stranger.code_for(OTHER_PHONE).await;
    for _ in 0..5 {
        stranger.change_phone_verify(&another_code(&strangers_code)).await.expect(400);
    }
    stranger.change_phone_verify(&owners_code).await.expect_problem(400, "invalid-otp");
    owner.change_phone_verify(&owners_code).await.expect(200);
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_number() {
    let world = World::new();
    let mut claims = Vec::new();
    for at in 0..6 {
        let person = world.person_with_phone(&format!("0101234560{at}")).await.signed_in().await;
        let code = person.code_for(OTHER_PHONE).await;
        claims.push((person, code));
        world.advance(2);
    }
    let replies = join_all(claims.iter().map(|(person, code)| person.change_phone_verify(code))).await;
    let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409]);
    let owners = world.items("USER#").into_iter().filter(|item| item["phone"]["S"] == OTHER_E164).count();
    assert_eq!(owners, 1);
}

#[tokio::test]
async fn a_code_dies_with_its_time_its_tries_and_the_sessions() {
    let (world, person, code) = moving().await;
    let for_another_phone = json!({"phone": THIRD_PHONE, "otp": code});
    person.post("/auth/change-phone/verify", for_another_phone).await.expect_problem(400, "invalid-otp");
    person.change_password(NEW_PASSWORD).await.expect(200);
    person.change_phone_verify(&code).await.expect_problem(400, "invalid-otp");
    world.advance(2);
    let code = person.code_for(OTHER_PHONE).await;
    world.advance(300);
    person.change_phone_verify(&code).await.expect_problem(400, "invalid-otp");
    let code = person.code_for(OTHER_PHONE).await;
    for _ in 0..5 {
        person.change_phone_verify(&another_code(&code)).await.expect(400);
    }
    person.change_phone_verify(&code).await.expect_problem(400, "invalid-otp");
    assert_eq!(person.me().await.expect(200).text("phone"), E164);
}

/// Each account has a code of its own for a number, but all of them share the number's hundred guesses.
#[tokio::test]
async fn wrong_codes_add_up_over_accounts_that_want_one_number() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "100"), ("LIMIT_MESSAGES_PER_ADDRESS", "1000")]);
    for at in 0..20 {
        let stranger = world.person_with_phone(&format!("010123456{at:02}")).await.signed_in().await;
        let code = stranger.code_for(OTHER_PHONE).await;
        for _ in 0..5 {
            stranger.change_phone_verify(&another_code(&code)).await.expect_problem(400, "invalid-otp");
        }
        // Neither a fresh account nor a fresh code is a fresh count.
        stranger.delete_account().await.expect(204);
        world.advance(2);
    }
    let sent = world.outbox.messages().len();
    let stranger = world.person_with_phone("01012345699").await.signed_in().await;
    let wait = stranger.change_phone(OTHER_PHONE).await.expect_limit("otp-phone");
    assert!(wait <= 30 * 86_400);
    assert_eq!(world.outbox.messages().len(), sent, "a code that would be refused is not paid for");
    stranger.change_phone(THIRD_PHONE).await.expect(202);
    world.advance(wait);
    stranger.sign_in().await;
    stranger.move_to(OTHER_PHONE).await;
}

/// Those who are already holding a code when the count is full.
#[tokio::test]
async fn a_right_code_after_the_hundredth_guess_at_its_number_is_refused() {
    let world = World::with(&[("OTP_MAX_ATTEMPTS", "10"), ("LIMIT_MESSAGES_PER_PHONE", "100")]);
    let last = world.person_with_phone("01012345699").await.signed_in().await;
    for at in 0..9 {
        let stranger = world.person_with_phone(&format!("010123456{at:02}")).await.signed_in().await;
        let code = stranger.code_for(OTHER_PHONE).await;
        for _ in 0..10 {
            stranger.change_phone_verify(&another_code(&code)).await.expect(400);
        }
        world.advance(2);
    }
    let other = world.person_with_phone("01012345698").await.signed_in().await;
    let code = other.code_for(OTHER_PHONE).await;
    world.advance(2);
    let right = last.code_for(OTHER_PHONE).await;
    for _ in 0..10 {
        other.change_phone_verify(&another_code(&code)).await.expect(400);
    }
    last.change_phone_verify(&right).await.expect_limit("otp-phone");
    assert_eq!(last.me().await.expect(200).text("phone"), "+201012345699");
}
