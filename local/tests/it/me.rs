//! `GET /auth/me`

use crate::harness::{E164, PHONE, World};

#[tokio::test]
async fn the_caller_sees_the_account() {
    let person = World::new().visitor(PHONE);
    let registered = person.register().await.expect(201);
    person.sign_in().await;
    let me = person.me().await.expect(200);
    assert_eq!(me.text("id"), registered.text("id"));
    assert_eq!(me.text("phone"), E164);
    assert_eq!((&me.body["phone_verified"], &me.body["mfa_enabled"]), (&false.into(), &false.into()));
    assert_eq!(me.text("created_at"), "2027-01-15T08:00:00Z");
    assert_eq!(me.body["has_password"], true);
    assert_eq!(me.body.as_object().unwrap().len(), 6);
}

#[tokio::test]
async fn the_documented_header_works_in_any_case_and_the_bare_token_does_not() {
    let person = World::new().signed_in_person().await;
    let token = person.access_token();
    let with = async |authorization: String| person.with_header("authorization", &authorization).me().await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        with(format!("{scheme} {token}")).await.expect(200);
    }
    for refused in [token.clone(), format!("Basic {token}"), format!("Bearer {token}x"), "Bearer ".to_owned()] {
        with(refused).await.expect_problem(401, "invalid-token");
    }
}

#[tokio::test]
async fn a_missing_token_asks_for_one_and_a_bad_one_says_so() {
    let world = World::new();
    let missing = world.get("/auth/me").await.expect_problem(401, "invalid-token");
    assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    let bad = world.bearer("no.such.token").me().await.expect_problem(401, "invalid-token");
    assert_eq!(bad.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
}

#[tokio::test]
async fn a_token_in_the_address_is_not_looked_at() {
    let world = World::new();
    let token = world.signed_in_person().await.access_token();
    world.get(&format!("/auth/me?access_token={token}")).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn an_access_token_lives_as_long_as_it_says() {
    let world = World::with(&[("ACCESS_TOKEN_TTL_SECONDS", "600")]);
    let person = world.signed_in_person().await;
    world.advance(599);
    person.me().await.expect(200);
    world.advance(1);
    person.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_token_dies_with_its_session() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let session = world.items("USER#").into_iter().find(|item| item["sk"]["S"] != "PROFILE").unwrap();
    for end in ["ends_at", "idle_ends_at"] {
        let mut ended = session.clone();
        ended[end]["N"] = "1800000000000".into();
        world.put_item(&ended);
        person.me().await.expect_problem(401, "invalid-token");
        world.put_item(&session);
        person.me().await.expect(200);
    }
}

#[tokio::test]
async fn a_token_of_a_session_or_an_account_that_is_not_there_is_refused() {
    let world = World::new();
    let token = world.signed_in_person().await.access_token();
    // The same keys, another table: the token is good, and nothing is behind it.
    World::new().bearer(&token).me().await.expect_problem(401, "invalid-token");
    let elsewhere = World::new();
    elsewhere.put_item(&world.item("USER#", "PROFILE"));
    elsewhere.bearer(&token).me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn another_systems_token_is_refused() {
    let world = World::new();
    world.person().await;
    let elsewhere = World::with(&[("JWT_AUDIENCE", "elsewhere")]);
    let token = elsewhere.signed_in_person().await.access_token();
    world.bearer(&token).me().await.expect_problem(401, "invalid-token");
}
