//! What the origin does wrong when it is run, each as a test that we do it right.

use crate::harness::{E164, NEW_PASSWORD, OTHER_PHONE, PHONE, RESET_PASSWORD, World, another_code};

#[tokio::test]
async fn the_documented_bearer_header_works() {
    World::new().signed_in_person().await.me().await.expect(200);
}

#[tokio::test]
async fn the_first_registration_works() {
    World::new().visitor(PHONE).register().await.expect(201);
}

/// The machine's time zone cannot matter: a token's times are Unix seconds of the request's own time.
#[tokio::test]
async fn a_token_lives_exactly_as_long_as_it_says() {
    let world = World::new();
    let person = world.person().await;
    let lifetime = person.login().await.expect(200).body["expires_in"].as_u64().unwrap();
    world.advance(lifetime - 1);
    person.me().await.expect(200);
    world.advance(1);
    person.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn twenty_wrong_codes_use_the_right_one_up() {
    let person = World::new().person().await;
    let code = person.reset_code().await;
    for _ in 0..20 {
        person.verify_reset(&another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn passwords_that_differ_after_72_bytes_are_two() {
    let (one, other) = (format!("{}a", "x".repeat(80)), format!("{}b", "x".repeat(80)));
    let person = World::new().visitor(PHONE);
    person.typing(&one).register().await.expect(201);
    person.typing(&other).login().await.expect_problem(401, "invalid-credentials");
    person.typing(&one).login().await.expect(200);
}

#[tokio::test]
async fn tokens_from_before_a_change_or_a_reset_are_dead() {
    let person = World::new().signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    person.change_password(NEW_PASSWORD).await.expect(200);
    laptop.me().await.expect_problem(401, "invalid-token");
    person.reset_password(RESET_PASSWORD).await;
    person.me().await.expect_problem(401, "invalid-token");
}

/// That the time is the same, too, follows from the same calls and the same hash (`login`, `request_reset`); `bench/`
/// is where times are measured.
#[tokio::test]
async fn nothing_but_register_tells_who_is_registered() {
    let world = World::new();
    let (person, stranger) = (world.person().await, world.visitor(OTHER_PHONE));
    let (known, unknown) = (person.mistyping().login().await, stranger.mistyping().login().await);
    assert!(known.fingerprint() == unknown.fingerprint());
    let (known, unknown) = (person.request_reset().await, stranger.request_reset().await);
    assert!(known.fingerprint() == unknown.fingerprint());
}

/// Two at once are in `races`.
#[tokio::test]
async fn a_phone_is_a_phone_and_one_user_in_every_spelling() {
    let world = World::new();
    world.visitor("any string").register().await.expect_fields(&["/phone"]);
    world.visitor("010-1234-5678").register().await.expect(201);
    world.visitor(E164).register().await.expect_problem(409, "phone-taken");
}

/// The hash of a code is under a key that is not in the table: a table whose key is another's opens nothing. (What it is
/// bound to beside the key: `latchkey::domain::otp`, `store`.)
#[tokio::test]
async fn a_leaked_table_gives_up_no_code() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    let (credential, stored) = (world.item("PHONE#", "CREDENTIAL"), world.item("PHONE#", "OTP#reset"));

    // Every world has a secret of its own.
    let elsewhere = World::new();
    for item in world.items("USER#").iter().chain([&credential, &stored]) {
        elsewhere.put_item(item);
    }
    elsewhere.visitor(PHONE).verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
}
