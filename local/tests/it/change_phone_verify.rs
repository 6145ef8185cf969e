//! `POST /auth/change-phone/verify`

use futures_util::future::join_all;

use crate::harness::{E164, NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, World, another_code};

const OTHER_E164: &str = "+201112345678";

/// A world whose account has asked for another phone: it, a token and the code.
async fn asked() -> (World, String, String) {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.change_phone(&token, PASSWORD, OTHER_PHONE).await.expect(202);
    let code = world.last_code();
    (world, token, code)
}

#[tokio::test]
async fn the_account_has_the_new_phone_and_the_old_one_is_free() {
    let (world, token, code) = asked().await;
    let before = world.me(&token).await.expect(200);
    world.change_phone_verify(&token, OTHER_PHONE, &code).await.expect(204);
    let after = world.me(&token).await.expect(200);
    assert_eq!((after.text("id"), after.text("phone")), (before.text("id"), OTHER_E164));
    assert_eq!(after.body["phone_verified"], true);

    world.login(PHONE, PASSWORD).await.expect_problem(401, "invalid-credentials");
    let session = world.login(OTHER_PHONE, PASSWORD).await.expect(200).tokens().1;
    world.refresh(&session).await.expect(200);
    let new = world.register(PHONE, NEW_PASSWORD).await.expect(201);
    assert!(new.text("id") != after.text("id"));
    world.login(PHONE, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn the_old_phone_is_told_and_cannot_reset_any_more() {
    let (world, token, code) = asked().await;
    world.verified(&token).await;
    world.advance(2);
    let reset = world.code(PHONE).await;
    world.change_phone_verify(&token, OTHER_PHONE, &code).await.expect(204);
    let notice = world.outbox.messages().remove(0);
    assert_eq!(notice.to.as_e164(), E164);
    assert!(notice.text.contains("another phone number") && !notice.text.contains("1112345678"));
    world.verify_reset(PHONE, &reset, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    let messages = world.outbox.messages().len();
    world.advance(2);
    world.request_reset(PHONE).await.expect(202);
    assert_eq!(world.outbox.messages().len(), messages, "nobody has it any more");
}

#[tokio::test]
async fn every_other_session_ends() {
    let (world, token, code) = asked().await;
    let (other, refresh_token) = world.tokens(PASSWORD).await;
    world.change_phone_verify(&token, OTHER_PHONE, &code).await.expect(204);
    world.me(&other).await.expect_problem(401, "invalid-token");
    world.refresh(&refresh_token).await.expect_problem(401, "invalid-token");
    world.me(&token).await.expect(200);
}

#[tokio::test]
async fn there_and_back_again() {
    let (world, token, code) = asked().await;
    world.change_phone_verify(&token, OTHER_PHONE, &code).await.expect(204);
    world.advance(2);
    world.change_phone(&token, PASSWORD, PHONE).await.expect(202);
    world.change_phone_verify(&token, PHONE, &world.last_code()).await.expect(204);
    world.advance(2);
    world.change_phone(&token, PASSWORD, OTHER_PHONE).await.expect(202);
    world.change_phone_verify(&token, OTHER_PHONE, &world.last_code()).await.expect(204);
    world.login(OTHER_PHONE, PASSWORD).await.expect(200);
    world.login(PHONE, PASSWORD).await.expect(401);
}

#[tokio::test]
async fn a_phone_that_was_taken_meanwhile_is_told_to_its_owner() {
    let (world, token, code) = asked().await;
    world.register(OTHER_PHONE, PASSWORD).await.expect(201);
    world.change_phone_verify(&token, OTHER_PHONE, &code).await.expect_problem(409, "phone-taken");
    world.login(PHONE, PASSWORD).await.expect(200);
    world.login(OTHER_PHONE, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn two_who_want_one_number_do_not_stand_in_each_others_way() {
    // docs/threats.md#a43: an unverified claim must not keep the number's owner out.
    let world = World::new().with_account().await;
    let stranger = world.token(PASSWORD).await;
    world.register("01212345678", PASSWORD).await.expect(201);
    let owner = world.login("01212345678", PASSWORD).await.expect(200).tokens().0;
    world.change_phone(&owner, PASSWORD, OTHER_PHONE).await.expect(202);
    let owners_code = world.last_code();
    world.advance(2);
    world.change_phone(&stranger, PASSWORD, OTHER_PHONE).await.expect(202);
    for _ in 0..5 {
        world.change_phone_verify(&stranger, OTHER_PHONE, &another_code(&world.last_code())).await.expect(400);
    }
    world.change_phone_verify(&stranger, OTHER_PHONE, &owners_code).await.expect_problem(400, "invalid-otp");
    world.change_phone_verify(&owner, OTHER_PHONE, &owners_code).await.expect(204);
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_number() {
    let world = World::new();
    let mut claims = Vec::new();
    for at in 0..6 {
        let phone = format!("0101234560{at}");
        world.register(&phone, PASSWORD).await.expect(201);
        let token = world.login(&phone, PASSWORD).await.expect(200).tokens().0;
        world.change_phone(&token, PASSWORD, OTHER_PHONE).await.expect(202);
        claims.push((token, world.last_code()));
        world.advance(2);
    }
    let replies =
        join_all(claims.iter().map(|(token, code)| world.change_phone_verify(token, OTHER_PHONE, code))).await;
    let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409, 409, 409, 409, 409]);
    let owners = world.items("USER#").into_iter().filter(|item| item["phone"]["S"] == OTHER_E164).count();
    assert_eq!(owners, 1);
}

#[tokio::test]
async fn a_code_dies_with_its_time_its_tries_and_the_sessions() {
    let (world, token, code) = asked().await;
    world.change_phone_verify(&token, "01212345678", &code).await.expect_problem(400, "invalid-otp");
    world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.change_phone_verify(&token, OTHER_PHONE, &code).await.expect_problem(400, "invalid-otp");
    world.advance(2);
    world.change_phone(&token, NEW_PASSWORD, OTHER_PHONE).await.expect(202);
    let code = world.last_code();
    world.advance(300);
    world.change_phone_verify(&token, OTHER_PHONE, &code).await.expect_problem(400, "invalid-otp");
    world.change_phone(&token, NEW_PASSWORD, OTHER_PHONE).await.expect(202);
    let code = world.last_code();
    for _ in 0..5 {
        world.change_phone_verify(&token, OTHER_PHONE, &another_code(&code)).await.expect(400);
    }
    world.change_phone_verify(&token, OTHER_PHONE, &code).await.expect_problem(400, "invalid-otp");
    assert_eq!(world.me(&token).await.expect(200).text("phone"), E164);
}
