//! `POST /auth/refresh`

use serde_json::json;

use crate::harness::{NEW_PASSWORD, PASSWORD, PHONE, RESET_PASSWORD, World};

const DAY: u64 = 24 * 3600;

#[tokio::test]
async fn a_refresh_token_gets_a_new_pair_that_works() {
    let world = World::new().with_account().await;
    let (_, first) = world.tokens(PASSWORD).await;
    world.advance(900);
    let reply = world.refresh(&first).await.expect(200);
    assert_eq!((reply.text("token_type"), &reply.body["expires_in"]), ("bearer", &json!(900)));
    let (access, second) = reply.tokens();
    assert!(first != second);
    world.me(&access).await.expect(200);
    world.refresh(&second).await.expect(200);
}

#[tokio::test]
async fn within_the_grace_the_spent_token_gets_the_same_successor() {
    let world = World::new().with_account().await;
    let (_, first) = world.tokens(PASSWORD).await;
    let (_, second) = world.refresh(&first).await.expect(200).tokens();
    world.advance(10);
    let (access, again) = world.refresh(&first).await.expect(200).tokens();
    assert!(second == again, "no fork");
    world.me(&access).await.expect(200);
    world.refresh(&second).await.expect(200);
}

#[tokio::test]
async fn a_spent_token_after_the_grace_ends_the_session_and_its_access_tokens() {
    let world = World::new().with_account().await;
    let (_, stolen) = world.tokens(PASSWORD).await;
    let other = world.token(PASSWORD).await;
    let (access, current) = world.refresh(&stolen).await.expect(200).tokens();
    world.advance(11);
    world.refresh(&stolen).await.expect_problem(401, "invalid-token");
    world.me(&access).await.expect_problem(401, "invalid-token");
    world.refresh(&current).await.expect_problem(401, "invalid-token");
    world.me(&other).await.expect(200);
}

#[tokio::test]
async fn a_token_two_rotations_old_is_theft_at_once() {
    let world = World::new().with_account().await;
    let (_, first) = world.tokens(PASSWORD).await;
    let (_, second) = world.refresh(&first).await.expect(200).tokens();
    let (access, _) = world.refresh(&second).await.expect(200).tokens();
    world.refresh(&first).await.expect_problem(401, "invalid-token");
    world.me(&access).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn without_a_grace_the_second_use_is_theft() {
    let world = World::with(&[("REFRESH_GRACE_SECONDS", "0")]).with_account().await;
    let (_, first) = world.tokens(PASSWORD).await;
    let (access, _) = world.refresh(&first).await.expect(200).tokens();
    world.advance(1);
    world.refresh(&first).await.expect_problem(401, "invalid-token");
    world.me(&access).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_session_lives_thirty_days_and_no_refresh_makes_it_longer() {
    let world = World::new().with_account().await;
    let (_, mut token) = world.tokens(PASSWORD).await;
    for _ in 0..29 {
        world.advance(DAY);
        token = world.refresh(&token).await.expect(200).tokens().1;
    }
    world.advance(DAY - 1);
    token = world.refresh(&token).await.expect(200).tokens().1;
    world.advance(1);
    world.refresh(&token).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn an_unused_session_lives_fourteen_days() {
    let world = World::new().with_account().await;
    let (_, token) = world.tokens(PASSWORD).await;
    world.advance(14 * DAY - 1);
    let (_, token) = world.refresh(&token).await.expect(200).tokens();
    world.advance(14 * DAY);
    world.refresh(&token).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_change_of_password_and_a_reset_end_refresh_tokens() {
    let world = World::new().with_account().await;
    let ((kept, kept_refresh), (_, other)) = (world.tokens(PASSWORD).await, world.tokens(PASSWORD).await);
    world.change_password(&kept, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.refresh(&other).await.expect_problem(401, "invalid-token");
    let (_, kept_refresh) = world.refresh(&kept_refresh).await.expect(200).tokens();
    let code = world.code(PHONE).await;
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
    world.refresh(&kept_refresh).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn what_we_did_not_make_is_refused_before_anything_is_read() {
    let world = World::new().with_account().await.warm().await;
    let (access, token) = world.tokens(PASSWORD).await;
    world.calls();
    let others = [
        access,
        token[..token.len() - 1].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        token.to_lowercase(),
        format!("B{}", &token[1..]),
        String::new(),
    ];
    for other in others {
        world.refresh(&other).await.expect_problem(401, "invalid-token");
    }
    assert!(world.calls().is_empty());
    for body in [json!({}), json!({"refresh_token": 1}), json!({"refresh_token": null})] {
        world.post("/auth/refresh", body).await.expect_fields(&["/refresh_token"]);
    }
    world.refresh(&token).await.expect(200);
}

#[tokio::test]
async fn the_time_of_the_login_stays_in_the_tokens() {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let world = World::new().with_account().await;
    let (_, token) = world.tokens(PASSWORD).await;
    world.advance(DAY);
    let (access, _) = world.refresh(&token).await.expect(200).tokens();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(access.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["auth_time"], 1_800_000_000);
    assert_eq!(claims["iat"], 1_800_000_000 + DAY);
}

#[tokio::test]
async fn of_a_users_sessions_twenty_live_and_the_oldest_goes() {
    let world = World::new().with_account().await;
    let mut tokens = Vec::new();
    for _ in 0..21 {
        tokens.push(world.token(PASSWORD).await);
        world.advance(1);
    }
    world.me(&tokens[0]).await.expect_problem(401, "invalid-token");
    for token in &tokens[1..] {
        world.me(token).await.expect(200);
    }
    let stored = world.items("USER#").into_iter().filter(|item| item["sk"]["S"] != "PROFILE");
    assert_eq!(stored.count(), 20);
}
