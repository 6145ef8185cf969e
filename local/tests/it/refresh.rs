//! `POST /auth/refresh`

use serde_json::json;

use crate::{
    harness::{NEW_PASSWORD, RESET_PASSWORD, World},
    jwt_attacks::Parts,
};

const DAY: u64 = 24 * 3600;

#[tokio::test]
async fn a_refresh_token_gets_a_new_pair_that_works() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let first = person.refresh_token();
    world.advance(900);
    let reply = person.refresh().await.expect(200);
    assert_eq!((reply.text("token_type"), &reply.body["expires_in"]), ("bearer", &json!(900)));
    assert!(first != person.refresh_token());
    person.me().await.expect(200);
    person.refresh().await.expect(200);
}

#[tokio::test]
async fn within_the_grace_the_spent_token_gets_the_same_successor() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let missed_the_answer = person.with_copied_tokens();
    person.refresh().await.expect(200);
    world.advance(10);
    missed_the_answer.refresh().await.expect(200);
    assert!(person.refresh_token() == missed_the_answer.refresh_token(), "no fork");
    missed_the_answer.me().await.expect(200);
    person.refresh().await.expect(200);
}

#[tokio::test]
async fn a_spent_token_after_the_grace_ends_the_session_and_its_access_tokens() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let thief = person.with_copied_tokens();
    let laptop = person.on_another_device().signed_in().await;
    person.refresh().await.expect(200);
    world.advance(11);
    thief.refresh().await.expect_problem(401, "invalid-token");
    person.me().await.expect_problem(401, "invalid-token");
    person.refresh().await.expect_problem(401, "invalid-token");
    laptop.me().await.expect(200);
}

#[tokio::test]
async fn a_token_two_rotations_old_is_theft_at_once() {
    let person = World::new().signed_in_person().await;
    let thief = person.with_copied_tokens();
    person.refresh().await.expect(200);
    person.refresh().await.expect(200);
    thief.refresh().await.expect_problem(401, "invalid-token");
    person.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn without_a_grace_the_second_use_is_theft() {
    let world = World::with(&[("REFRESH_GRACE_SECONDS", "0")]);
    let person = world.signed_in_person().await;
    let thief = person.with_copied_tokens();
    person.refresh().await.expect(200);
    world.advance(1);
    thief.refresh().await.expect_problem(401, "invalid-token");
    person.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_session_lives_thirty_days_and_no_refresh_makes_it_longer() {
    let world = World::new();
    let person = world.signed_in_person().await;
    for _ in 0..29 {
        world.advance(DAY);
        person.refresh().await.expect(200);
    }
    world.advance(DAY - 1);
    person.refresh().await.expect(200);
    world.advance(1);
    person.refresh().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn an_unused_session_lives_fourteen_days() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.advance(14 * DAY - 1);
    person.refresh().await.expect(200);
    world.advance(14 * DAY);
    person.refresh().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_change_of_password_and_a_reset_end_refresh_tokens() {
    let person = World::new().signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    person.change_password(NEW_PASSWORD).await.expect(204);
    laptop.refresh().await.expect_problem(401, "invalid-token");
    person.refresh().await.expect(200);
    person.reset_password(RESET_PASSWORD).await;
    person.refresh().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn what_we_did_not_make_is_refused_before_anything_is_read() {
    let world = World::new().warm().await;
    let person = world.signed_in_person().await;
    world.calls();
    let token = person.refresh_token();
    let others = [
        person.access_token(),
        token[..token.len() - 1].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        token.to_lowercase(),
        format!("B{}", &token[1..]),
        String::new(),
    ];
    for other in others {
        let body = json!({"refresh_token": other});
        world.post("/auth/refresh", body).await.expect_problem(401, "invalid-token");
    }
    assert!(world.calls().is_empty());
    for body in [json!({}), json!({"refresh_token": 1}), json!({"refresh_token": null})] {
        world.post("/auth/refresh", body).await.expect_fields(&["/refresh_token"]);
    }
    person.refresh().await.expect(200);
}

#[tokio::test]
async fn the_time_of_the_login_stays_in_the_tokens() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.advance(DAY);
    person.refresh().await.expect(200);
    let claims = Parts::of(&person.access_token()).claims;
    assert_eq!(claims["auth_time"], 1_800_000_000);
    assert_eq!(claims["iat"], 1_800_000_000 + DAY);
}

#[tokio::test]
async fn of_a_users_sessions_twenty_live_and_the_oldest_goes() {
    let world = World::new();
    let person = world.person().await;
    let mut devices = Vec::new();
    for _ in 0..21 {
        devices.push(person.on_another_device().signed_in().await);
        world.advance(1);
    }
    let (oldest, others) = devices.split_first().unwrap();
    oldest.me().await.expect_problem(401, "invalid-token");
    for device in others {
        device.me().await.expect(200);
    }
    let stored = world.items("USER#").into_iter().filter(|item| item["sk"]["S"] != "PROFILE");
    assert_eq!(stored.count(), 20);
}
