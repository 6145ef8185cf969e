//! `DELETE /auth/me`

use http::Method;
use serde_json::json;

use crate::harness::{E164, NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, Request, World};

/// What is sent in place of a second factor where none is on: unknown members are ignored.
const NO_FACTOR: (&str, &str) = ("nothing", "");

#[tokio::test]
async fn nothing_of_the_account_is_left_but_a_tombstone_without_personal_data() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    // An account with everything that one can have: a phone that it left, with a code that waits there, and one that it
    // wants to have.
    let registered = world.register(OTHER_PHONE, PASSWORD).await.expect(202);
    world.activate(registered.text("activation_id"), &world.last_code()).await.expect(201);
    let first = world.login(OTHER_PHONE, PASSWORD).await.expect(200).tokens().0;
    world.code(OTHER_PHONE).await;
    world.change_phone(&first, PASSWORD, PHONE).await.expect(202);
    world.change_phone_verify(&first, PHONE, &world.last_code()).await.expect(204);
    let factor = world.switch_factor_on(PASSWORD).await;
    world.mfa_token(PASSWORD).await;
    world.with_factor("/auth/mfa/enroll", &factor.token, PASSWORD, ("code", &factor.code(&world))).await.expect(200);
    world.code(PHONE).await;
    world.advance(30);
    let body = json!({"password": PASSWORD, "phone": "01212345678", "code": factor.code(&world)});
    world.send(Request::post("/auth/change-phone", body).bearer(&factor.token)).await.expect(202);
    let recovery_code = ("recovery_code", factor.recovery_codes[0].as_str());
    world.delete_me(&factor.token, PASSWORD, recovery_code).await.expect(204);

    // Of the phone that it left there is a ghost, as of any: a throttle and an end.
    for item in world.items("PHONE#") {
        let names: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        assert!(item["pk"]["S"] == "PHONE#+201112345678" && item["user_id"].is_null(), "{names:?}");
    }
    let left = world.items("USER#");
    assert_eq!(left.len(), 1);
    let mut names: Vec<_> = left[0].as_object().unwrap().keys().collect();
    names.sort_unstable();
    assert_eq!(names, ["deleted_at", "epoch", "expires_at", "pk", "sk"]);
    // What is left of the number are counts of today's messages, which a new account does not get anew.
    for item in world.items("").iter().filter(|item| item.to_string().contains(E164)) {
        assert!(item["pk"]["S"].as_str().unwrap().starts_with("LIMIT#messages-phone#"));
    }
    world.advance(2 * 86_400);
    world.collect_garbage();
    assert!(world.items("").iter().all(|item| !item.to_string().contains(E164)));
    // The tombstone outlives the longest session, and then goes.
    world.advance(28 * 86_400);
    world.collect_garbage();
    assert_eq!(world.items("USER#").len(), 1);
    world.advance(86_400);
    world.collect_garbage();
    assert!(world.items("USER#").is_empty());
}

#[tokio::test]
async fn everything_that_opened_the_account_is_dead_at_once() {
    let world = World::new().with_account().await;
    let (token, refresh_token) = world.tokens(PASSWORD).await;
    let (other, other_refresh_token) = world.tokens(PASSWORD).await;
    let code = world.code(PHONE).await;
    world.delete_me(&token, PASSWORD, NO_FACTOR).await.expect(204);

    for dead in [&token, &other] {
        world.me(dead).await.expect_problem(401, "invalid-token");
        world.export(dead).await.expect_problem(401, "invalid-token");
        world.bearer(Method::GET, "/auth/sessions", dead).await.expect_problem(401, "invalid-token");
        world.change_password(dead, PASSWORD, NEW_PASSWORD).await.expect_problem(401, "invalid-token");
    }
    for dead in [&refresh_token, &other_refresh_token] {
        world.refresh(dead).await.expect_problem(401, "invalid-token");
    }
    world.verify_reset(PHONE, &code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    let gone = world.login(PHONE, PASSWORD).await.expect_problem(401, "invalid-credentials");
    // As a phone that never had an account (docs/threats.md#l6).
    assert!(gone.fingerprint() == world.login(OTHER_PHONE, PASSWORD).await.fingerprint());
}

#[tokio::test]
async fn the_phone_registers_anew_and_is_somebody_else() {
    let world = World::new();
    let first = world.register(PHONE, PASSWORD).await.expect(201).text("id").to_owned();
    let token = world.token(PASSWORD).await;
    world.delete_me(&token, PASSWORD, NO_FACTOR).await.expect(204);
    let second = world.register(PHONE, NEW_PASSWORD).await.expect(201).text("id").to_owned();
    assert_ne!(first, second);
    world.login(PHONE, PASSWORD).await.expect_problem(401, "invalid-credentials");
    let me = world.me(&world.token(NEW_PASSWORD).await).await.expect(200);
    assert_eq!((me.text("id"), &me.body["phone_verified"]), (second.as_str(), &json!(false)));
    world.me(&token).await.expect_problem(401, "invalid-token");
}

/// A lost answer: whoever asks again is not told that something is wrong (docs/threats.md#e11).
#[tokio::test]
async fn the_same_request_again_is_a_success_and_touches_no_new_account() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.delete_me(&token, PASSWORD, NO_FACTOR).await.expect(204);
    world.register(PHONE, PASSWORD).await.expect(201);
    world.delete_me(&token, PASSWORD, NO_FACTOR).await.expect(204);
    world.login(PHONE, PASSWORD).await.expect(200);
    world.advance(900);
    world.delete_me(&token, PASSWORD, NO_FACTOR).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_token_alone_deletes_nothing() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.delete_me(&token, "wrong password", NO_FACTOR).await.expect_problem(403, "wrong-password");
    let request = Request::post("/auth/me", json!({})).method(Method::DELETE).bearer(&token);
    world.send(request).await.expect_fields(&["/password"]);
    let request = Request::post("/auth/me", json!({"password": PASSWORD})).method(Method::DELETE);
    world.send(request).await.expect_problem(401, "invalid-token");
    // Wrong passwords count like wrong logins.
    for _ in 0..5 {
        world.delete_me(&token, "wrong password", NO_FACTOR).await.expect_problem(403, "wrong-password");
    }
    world.delete_me(&token, PASSWORD, NO_FACTOR).await.expect_problem(429, "too-many-requests");
    world.me(&token).await.expect(200);
}

#[tokio::test]
async fn where_a_second_factor_is_on_it_is_asked_for() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let code = factor.code(&world);
    world.delete_me(&factor.token, PASSWORD, NO_FACTOR).await.expect_problem(403, "mfa-required");
    let wrong = crate::harness::another_code(&code);
    world.delete_me(&factor.token, PASSWORD, ("code", &wrong)).await.expect_problem(400, "invalid-otp");
    world.me(&factor.token).await.expect(200);
    world.delete_me(&factor.token, PASSWORD, ("code", &code)).await.expect(204);
}

#[tokio::test]
async fn other_accounts_are_not_touched() {
    let world = World::new().with_account().await;
    world.register(OTHER_PHONE, PASSWORD).await.expect(201);
    let other = world.login(OTHER_PHONE, PASSWORD).await.expect(200).text("access_token").to_owned();
    // A code by which somebody else would get this number.
    world.change_phone(&other, PASSWORD, "01212345678").await.expect(202);
    let code = world.last_code();
    let token = world.token(PASSWORD).await;
    world.delete_me(&token, PASSWORD, NO_FACTOR).await.expect(204);
    world.me(&other).await.expect(200);
    world.change_phone_verify(&other, "01212345678", &code).await.expect(204);
}
