//! `POST /auth/set-password`

use serde_json::json;

use crate::harness::{NEW_PASSWORD, PASSWORD, World};

#[tokio::test]
async fn an_account_without_a_password_gets_one_and_every_other_session_ends() {
    let world = World::new();
    let person = world.person_by_code().await;
    let laptop = person.on_another_device();
    laptop.sign_in_by_code().await;
    person.set_password(PASSWORD).await.expect(200);
    assert_eq!(person.me().await.expect(200).body["has_password"], true);
    laptop.me().await.expect_problem(401, "invalid-token");
    person.on_another_device().sign_in().await;
    assert!(world.outbox.messages()[0].text.contains("your password was changed"));

    let reply = person.set_password(NEW_PASSWORD).await.expect_problem(409, "password-already-set");
    assert!(reply.text("detail").contains("POST /auth/change-password"));
    person.delete_account().await.expect_problem(422, "invalid-request");
}

#[tokio::test]
async fn it_takes_the_second_factor_and_a_good_password() {
    let world = World::new();
    let person = world.person_by_code().await;
    person.switch_factor_on().await;
    person.set_password(PASSWORD).await.expect_problem(403, "mfa-required");
    person.with_wrong_code().set_password(PASSWORD).await.expect_problem(400, "invalid-otp");
    for weak in ["short", "password", "01012345678"] {
        person.with_code().set_password(weak).await.expect_problem(422, "invalid-request");
    }
    person.with_code().set_password(PASSWORD).await.expect(200);
    let amr = crate::jwt_attacks::Parts::of(&person.access_token()).claims["amr"].clone();
    assert_eq!(amr, json!(["sms", "otp", "mfa"]));
}

#[tokio::test]
async fn a_reset_gives_a_first_password_as_well() {
    let world = World::new();
    let person = world.person_by_code().await;
    person.reset_password(NEW_PASSWORD).await;
    person.sign_in().await;
    assert_eq!(person.me().await.expect(200).body["has_password"], true);
}
