//! `POST /auth/start-anew`. What it leads to is in `recycled.rs`.

use serde_json::json;

use crate::{
    harness::{OTHER_PHONE, PASSWORD, PHONE, World},
    jwt_attacks::Parts,
};

#[tokio::test]
async fn only_a_token_that_offers_it_starts_anew() {
    let world = World::new();
    world.post("/auth/start-anew", json!({"mfa_token": "made-up"})).await.expect_problem(401, "invalid-token");
    world.post("/auth/start-anew", json!({})).await.expect_problem(422, "invalid-request");
    // The password was the first step: nothing shows who has the phone.
    let person = world.person_with_factor().await;
    person.first_step().await;
    person.start_anew().await.expect_problem(401, "invalid-token");
    person.login_mfa().await.expect(200);
    // Nor does a token that is too old.
    let newcomer = world.visitor(PHONE);
    newcomer.comes_back_late().await;
    world.advance(301);
    newcomer.start_anew().await.expect_problem(401, "invalid-token");
    assert_eq!(person.login().await.code(), "mfa-required", "nothing has changed");
}

#[tokio::test]
async fn its_response_is_repeated_until_its_tokens_are_used() {
    let world = World::new();
    let _ = world.person_by_code().await;
    let newcomer = world.visitor(PHONE);
    newcomer.comes_back_late().await;
    let late = newcomer.with_copied_tokens();
    newcomer.start_anew().await.expect(200);
    late.start_anew().await.expect(200);
    assert_eq!(late.refresh_token(), newcomer.refresh_token());
    newcomer.refresh().await.expect(200);
    late.start_anew().await.expect_problem(401, "invalid-token");
    newcomer.me().await.expect(200);
}

#[tokio::test]
async fn a_password_of_the_new_account_follows_the_rules_of_passwords() {
    let world = World::with(&[("SIGN_IN_METHODS", "password")]);
    let owner = world.person().await;
    owner.reset_password(PASSWORD).await;
    world.advance(181 * 86_400);
    let newcomer = world.visitor(PHONE);
    newcomer.verify_reset(&newcomer.reset_code().await, "newPass456").await.expect_problem(403, "identity-required");
    let start = async |password: Option<&str>| {
        let body = json!({"mfa_token": newcomer.mfa_token(), "new_password": password});
        newcomer.post("/auth/start-anew", body).await
    };
    for password in [None, Some("short"), Some("01012345678")] {
        let reply = start(password).await.expect_problem(422, "invalid-request");
        assert_eq!(reply.body["errors"][0]["pointer"], "/new_password");
    }
    start(Some("newPass456")).await.expect(200);
    world.person_with_phone(OTHER_PHONE).await;
}

/// Whoever has the number next learns nothing of its old account, not even whether it is one that they know.
#[tokio::test]
async fn the_token_does_not_tell_whose_account_it_is() {
    let world = World::new();
    let owner = world.person_by_code().await;
    let id = owner.me().await.expect(200).text("id").to_owned();
    let newcomer = world.visitor(PHONE);
    newcomer.comes_back_late().await;
    let first = Parts::of(&newcomer.mfa_token()).claims;
    assert!(first["sub"].is_string() && !first.to_string().contains(&id));
    newcomer.comes_back_late().await;
    let second = Parts::of(&newcomer.mfa_token()).claims;
    assert_ne!(first["sub"], second["sub"], "nothing links two tokens of one account");
}
