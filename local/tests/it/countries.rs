//! Countries that are not served: nobody registers there and nobody is sent anything, but accounts that exist sign in.

use serde_json::json;

use crate::{
    harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, World},
    toll_fraud::accounts,
};

/// A number of Uzbekistan.
const ABROAD: &str = "+998901234567";

/// The same system after its operator has taken Uzbekistan off the list.
fn closed(before: &World, variables: &[(&str, &str)]) -> World {
    let after = World::with(&[&[("PHONE_ALLOWED_COUNTRIES", "EG")], variables].concat());
    for item in before.items("") {
        after.put_item(&item);
    }
    let secret = before.emulator.secrets().current_value("SecretKey").unwrap();
    after.emulator.secrets().lend("SecretKey", secret);
    after
}

#[tokio::test]
async fn an_account_of_a_country_that_was_closed_signs_in_and_is_sent_nothing() {
    let before = World::with(&[("PHONE_ALLOWED_COUNTRIES", "EG,UZ")]);
    let person = before.person_with_phone(ABROAD).await.signed_in().await;
    person.verify_own_phone().await;
    let unverified = before.person_with_phone("+998901234568").await;

    let world = closed(&before, &[]);
    let person = world.visitor(ABROAD).signed_in().await;
    person.me().await.expect(200);
    person.refresh().await.expect(200);
    person.change_password(NEW_PASSWORD).await.expect(200);
    let unverified_abroad = world.visitor("+998901234568").signed_in().await;
    unverified_abroad.verify_phone().await.expect_fields(&[""]);
    // A request for a reset reveals nothing, whether or not there is an account.
    let known = person.request_reset().await.expect(202);
    let unknown = world.visitor("+998901234569").request_reset().await.expect(202);
    assert!(known.fingerprint() == unknown.fingerprint());
    assert!(world.outbox.messages().is_empty());
    // Nobody else gets there.
    world.visitor("+998901234570").register().await.expect_fields(&["/phone"]);
    person.change_phone("+998901234571").await.expect_fields(&["/phone"]);
    // And a way out is open.
    person.move_to(OTHER_PHONE).await;
    assert_eq!(world.outbox.messages().len(), 1, "the code to the new phone, and no notice to the old one");
    drop(unverified);
}

#[tokio::test]
async fn a_registration_of_a_country_that_was_closed_is_over() {
    let activation = ("REQUIRE_ACTIVATION", "true");
    let before = World::with(&[("PHONE_ALLOWED_COUNTRIES", "EG,UZ"), activation]);
    let person = before.visitor(ABROAD);
    person.register().await.expect(202);
    let (id, code) = (person.activation_id(), person.code());
    let world = closed(&before, &[activation]);
    world.advance(2);
    for (path, body) in [
        ("/auth/resend-activation", json!({"activation_id": id})),
        ("/auth/activate", json!({"activation_id": id, "otp": code})),
    ] {
        let reply = world.post(path, body).await.expect_fields(&["/activation_id"]);
        let detail = "`activation_id` belongs to a phone that gets no messages: it is in a country that this service does not \
                      serve.";
        assert_eq!(reply.text("detail"), detail);
    }
    assert!(world.outbox.messages().is_empty());
}

/// Numbering plans change, and the tables with them: an update must not shut the owner of an account out.
#[tokio::test]
async fn a_number_that_no_plan_has_any_more_still_signs_in() {
    let world = World::new();
    let landline = "+20223456789";
    world.visitor(landline).register().await.expect_fields(&["/phone"]);
    accounts(&world, &[landline.to_owned()]).await;
    // With the password of another account, whose hash we can make here.
    world.person().await;
    let mut credential = world.items(&format!("PHONE#{landline}")).remove(0);
    let hash = world.items("PHONE#+201012345678").into_iter().find(|item| item["sk"]["S"] == "CREDENTIAL").unwrap();
    credential["password_hash"] = hash["password_hash"].clone();
    world.put_item(&credential);
    let person = world.visitor(landline).signed_in().await;
    person.me().await.expect(200);
    world.visitor("02 2345 6789").typing(PASSWORD).login().await.expect(200);
    person.verify_phone().await.expect_fields(&[""]);
    person.request_reset().await.expect(202);
    person.change_password(NEW_PASSWORD).await.expect(200);
    assert!(world.outbox.messages().is_empty());
}

#[tokio::test]
async fn test_numbers_meet_no_cooldown() {
    let number = "+201000000001";
    let world = World::with(&[("TEST_NUMBERS", "+201000000001=042424"), ("OTP_RESEND_COOLDOWN", "60")]);
    let person = world.person_with_phone(number).await.signed_in().await;
    for _ in 0..3 {
        person.request_reset().await.expect(202);
        person.verify_phone().await.expect(202);
    }
    person.verify_reset("042424", RESET_PASSWORD).await.expect(204);
    let world = World::with(&[("TEST_NUMBERS", "+201000000001=042424"), ("REQUIRE_ACTIVATION", "true")]);
    let person = world.visitor(number);
    for _ in 0..3 {
        person.register().await.expect(202);
        person.resend_activation().await.expect(202);
    }
    person.activate("042424").await.expect(201);
    person.login().await.expect(200);
    world.visitor(PHONE).register().await.expect(202);
    world.visitor(PHONE).register().await.expect_limit("messages-cooldown");

    let numbers = "+201000000001=042424,+201000000002=042425";
    let world = World::with(&[("TEST_NUMBERS", numbers), ("OTP_RESEND_COOLDOWN", "60")]);
    let person = world.visitor(number).without_password();
    for _ in 0..3 {
        for reply in [person.ask_code().await.expect(202), person.resend_code().await.expect(202)] {
            assert_eq!(reply.body["resend_in"], 0, "there is no cooldown");
        }
    }
    let reply = world.visitor(PHONE).ask_code().await.expect(202);
    assert_eq!(reply.body["resend_in"], 60);
    person.verify_code("042424").await.expect(200);
    for _ in 0..3 {
        person.change_phone("+201000000002").await.expect(202);
    }
    person.change_phone_verify("042425").await.expect(200);
    assert_eq!(world.outbox.messages().len(), 1, "that of the other phone");
}
