//! `POST /auth/code`

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{OTHER_PHONE, PHONE, THIRD_PHONE, World};

#[tokio::test]
async fn a_code_is_sent_to_phones_with_and_without_an_account() {
    let world = World::new();
    world.person_with_phone(OTHER_PHONE).await;
    let (mut members, mut lengths) = (BTreeSet::new(), BTreeSet::new());
    for phone in [PHONE, OTHER_PHONE] {
        let person = world.visitor(phone);
        let reply = person.ask_code().await.expect(202);
        assert_eq!((&reply.body["expires_in"], &reply.body["resend_in"]), (&json!(300), &json!(1)));
        lengths.insert(reply.text("challenge").len());
        members.insert(reply.body.as_object().unwrap().keys().cloned().collect::<Vec<_>>());
        let message = &world.outbox.messages()[0];
        assert!(message.text.contains("is your code to sign in. Do not share it."), "{}", message.text.len());
        person.verify_code(&person.code()).await.expect(200);
    }
    assert_eq!((members.len(), lengths.len()), (1, 1), "neither members nor lengths tell");
}

/// Known, unknown, and disabled: the same answer after the same calls to AWS.
#[tokio::test]
async fn no_answer_tells_whether_a_phone_has_an_account() {
    for sign_up in ["open", "closed"] {
        let world = World::with(&[("SIGN_UP", "open")]).warm().await;
        let world = if sign_up == "closed" { World::with(&[("SIGN_UP", "closed")]).warm().await } else { world };
        let known = world.visitor(OTHER_PHONE);
        if sign_up == "open" {
            known.register().await.expect(201);
        }
        let mut replies = Vec::new();
        for phone in [PHONE, OTHER_PHONE, THIRD_PHONE] {
            world.calls();
            let reply = world.visitor(phone).ask_code().await.expect(202);
            let mut body = reply.body.clone();
            body["challenge"] = reply.text("challenge").len().into();
            // What a message is charged to is checked where none is sent.
            let calls: Vec<usize> = world.permissions_used().iter().map(|_| 1).collect();
            replies.push((body, calls));
        }
        assert!(replies.iter().all(|reply| *reply == replies[0]), "{sign_up}: {replies:?}");
    }
}

#[tokio::test]
async fn with_sign_up_closed_no_code_makes_an_account_and_no_message_is_sent() {
    let world = World::with(&[("SIGN_UP", "closed"), ("OTP_EXPOSE", "true")]);
    let person = world.visitor(PHONE);
    person.register().await.expect_problem(403, "sign-up-closed");
    let code = person.ask_code().await.expect(202).text("otp").to_owned();
    assert!(world.outbox.messages().is_empty());
    person.verify_code(&code).await.expect_problem(400, "invalid-otp");
    assert!(world.items("USER#").is_empty());
}

#[tokio::test]
async fn a_number_that_is_not_served_is_refused() {
    let world = World::with(&[("PHONE_ALLOWED_COUNTRIES", "EG")]);
    for phone in ["+998901234567", "+20235712345", "1"] {
        let reply = world.visitor(phone).ask_code().await.expect_problem(422, "invalid-request");
        assert_eq!(reply.body["errors"][0]["pointer"], "/phone", "{phone}");
    }
    assert!(world.items("PHONE#").is_empty());
}

#[tokio::test]
async fn a_test_number_has_its_code_and_gets_no_message() {
    let world = World::with(&[("TEST_NUMBERS", "+201000000001=123456")]);
    let person = world.visitor("01000000001");
    for _ in 0..120 {
        person.ask_code().await.expect(202);
        person.verify_code("123456").await.expect(200);
    }
    assert!(world.outbox.messages().is_empty());
}

#[tokio::test]
async fn a_used_up_budget_does_not_show_and_no_more_messages_are_sent() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "2")]);
    let person = world.visitor(PHONE);
    for _ in 0..4 {
        person.ask_code().await.expect(202);
        world.advance(2);
    }
    assert_eq!(world.outbox.messages().len(), 2);
    person.request_reset().await.expect(202);
    person.register().await.expect(201);
}

#[tokio::test]
async fn another_code_for_the_phone_waits_for_the_cooldown() {
    let world = World::new();
    let person = world.visitor(PHONE);
    person.ask_code().await.expect(202);
    let reply = person.ask_code().await.expect_problem(429, "too-many-requests");
    assert_eq!(reply.body["bucket"], "messages-cooldown");
    world.advance(1);
    person.ask_code().await.expect(202);
}

#[tokio::test]
async fn a_method_that_is_off_is_refused() {
    let world = World::with(&[("SIGN_IN_METHODS", "password")]);
    let person = world.signed_in_person().await;
    for (path, body) in [
        ("/auth/code", json!({"phone": PHONE})),
        ("/auth/code/verify", json!({"challenge": "x", "otp": "123456"})),
        ("/auth/code/resend", json!({"challenge": "x"})),
        ("/auth/step-up", json!({"challenge": "x", "otp": "123456"})),
    ] {
        person.post(path, body).await.expect_problem(403, "sign-in-method-off");
    }

    let world = World::with(&[("SIGN_IN_METHODS", "code")]);
    let person = world.person_by_code().await;
    let password = json!("mypassword");
    for (path, body) in [
        ("/auth/login", json!({"phone": PHONE, "password": password})),
        ("/auth/register", json!({"phone": PHONE, "password": password})),
        ("/auth/request-reset", json!({"phone": PHONE})),
        ("/auth/verify-reset", json!({"phone": PHONE, "otp": "123456", "new_password": password})),
        ("/auth/change-password", json!({"old_password": password, "new_password": password})),
        ("/auth/set-password", json!({"new_password": password})),
        ("/auth/step-up", json!({"password": password})),
    ] {
        person.post(path, body).await.expect_problem(403, "sign-in-method-off");
    }
    person.me().await.expect(200);
}
