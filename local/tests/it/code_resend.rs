//! `POST /auth/code/resend`

use serde_json::json;

use crate::harness::{PHONE, World, another_code};

#[tokio::test]
async fn the_last_two_codes_work_and_share_their_tries() {
    let world = World::new();
    let person = world.visitor(PHONE);
    person.ask_code().await.expect(202);
    let mut codes = vec![person.code()];
    for _ in 0..2 {
        world.advance(2);
        person.resend_code().await.expect(202);
        codes.push(person.code());
    }
    person.verify_code(&codes[0]).await.expect_problem(400, "invalid-otp");
    for _ in 0..3 {
        person.verify_code(&another_code(&codes[2])).await.expect_problem(400, "invalid-otp");
    }
    person.verify_code(&codes[1]).await.expect(200);
}

#[tokio::test]
async fn another_code_adds_no_tries() {
    let world = World::new();
    let person = world.visitor(PHONE);
    person.ask_code().await.expect(202);
    for _ in 0..3 {
        person.verify_code(&another_code(&person.code())).await.expect_problem(400, "invalid-otp");
    }
    world.advance(2);
    person.resend_code().await.expect(202);
    let code = person.code();
    for _ in 0..2 {
        person.verify_code(&another_code(&code)).await.expect_problem(400, "invalid-otp");
    }
    person.verify_code(&code).await.expect_problem(400, "invalid-otp");
    world.advance(2);
    let reply = person.resend_code().await.expect_problem(422, "invalid-request");
    assert_eq!(reply.body["errors"][0]["pointer"], "/challenge");
}

#[tokio::test]
async fn a_challenge_that_is_over_or_was_never_given_gets_no_code() {
    let world = World::new();
    let person = world.visitor(PHONE);
    person.ask_code().await.expect(202);
    person.resend_code().await.expect_problem(429, "too-many-requests");
    world.advance(901);
    person.resend_code().await.expect_problem(422, "invalid-request");
    let body = json!({"challenge": "made up"});
    world.post("/auth/code/resend", body).await.expect_problem(422, "invalid-request");
    assert_eq!(world.outbox.messages().len(), 1);
}
