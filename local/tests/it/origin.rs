//! The nine things that the origin does wrong when it is run (docs/design.md#the-origin), each as a test that we do it
//! right.

use crate::harness::{E164, NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, World, another_code};

#[tokio::test]
async fn observation_1_the_documented_bearer_header_works() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.me(&token).await.expect(200);
}

#[tokio::test]
async fn observation_2_the_first_registration_works() {
    World::new().register(PHONE, PASSWORD).await.expect(201);
}

/// The machine's time zone cannot matter: a token's times are Unix seconds of the request's own time.
#[tokio::test]
async fn observation_3_a_token_lives_exactly_as_long_as_it_says() {
    let world = World::new().with_account().await;
    let login = world.login(PHONE, PASSWORD).await.expect(200);
    let lifetime = login.body["expires_in"].as_u64().unwrap();
    world.advance(lifetime - 1);
    world.me(login.text("access_token")).await.expect(200);
    world.advance(1);
    world.me(login.text("access_token")).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn observation_4_twenty_wrong_codes_use_the_right_one_up() {
    let world = World::new().with_account().await;
    let code = world.code(PHONE).await;
    for _ in 0..20 {
        world.verify_reset(PHONE, &another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn observation_5_passwords_that_differ_after_72_bytes_are_two() {
    let world = World::new();
    let (one, other) = (format!("{}a", "x".repeat(80)), format!("{}b", "x".repeat(80)));
    world.register(PHONE, &one).await.expect(201);
    world.login(PHONE, &other).await.expect_problem(401, "invalid-credentials");
    world.login(PHONE, &one).await.expect(200);
}

#[tokio::test]
async fn observation_6_tokens_from_before_a_change_or_a_reset_are_dead() {
    let world = World::new().with_account().await;
    let (kept, dead) = (world.token(PASSWORD).await, world.token(PASSWORD).await);
    world.change_password(&kept, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.me(&dead).await.expect_problem(401, "invalid-token");
    let code = world.code(PHONE).await;
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
    world.me(&kept).await.expect_problem(401, "invalid-token");
}

/// That the time is the same, too, follows from the same calls and the same hash (`login`, `request_reset`); `bench/`
/// is where times are measured.
#[tokio::test]
async fn observation_7_nothing_but_register_tells_who_is_registered() {
    let world = World::new().with_account().await;
    let known = world.login(PHONE, "wrong password").await;
    let unknown = world.login(OTHER_PHONE, "wrong password").await;
    assert!(known.fingerprint() == unknown.fingerprint());
    let known = world.request_reset(PHONE).await;
    let unknown = world.request_reset(OTHER_PHONE).await;
    assert!(known.fingerprint() == unknown.fingerprint());
}

/// Two at once are in `races`.
#[tokio::test]
async fn observation_8_a_phone_is_a_phone_and_one_user_in_every_spelling() {
    let world = World::new();
    world.register("any string", PASSWORD).await.expect_fields(&["/phone"]);
    world.register("010-1234-5678", PASSWORD).await.expect(201);
    world.register(E164, PASSWORD).await.expect_problem(409, "phone-taken");
}

/// The hash of a code is under a key that is not in the table: a table whose key is another's opens nothing. (What it is
/// bound to beside the key: `latchkey::domain::otp`, `store`.)
#[tokio::test]
async fn observation_9_a_leaked_table_gives_up_no_code() {
    let world = World::new().with_account().await;
    let code = world.code(PHONE).await;
    let (credential, stored) = (world.item("PHONE#", "CREDENTIAL"), world.item("PHONE#", "OTP#reset"));

    // Every world has a secret of its own.
    let elsewhere = World::new();
    for item in world.items("USER#").iter().chain([&credential, &stored]) {
        elsewhere.put_item(item);
    }
    elsewhere.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
}
