//! `POST /auth/logout`

use http::Method;

use crate::harness::{PASSWORD, World};

#[tokio::test]
async fn this_session_ends_at_once_and_no_other() {
    let world = World::new().with_account().await;
    let ((access, refresh), other) = (world.tokens(PASSWORD).await, world.token(PASSWORD).await);
    let reply = world.bearer(Method::POST, "/auth/logout", &access).await.expect(204);
    assert!(reply.bytes.is_empty());
    world.me(&access).await.expect_problem(401, "invalid-token");
    world.refresh(&refresh).await.expect_problem(401, "invalid-token");
    world.me(&other).await.expect(200);
}

#[tokio::test]
async fn the_end_of_a_session_that_has_ended_is_a_success() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    for _ in 0..2 {
        world.bearer(Method::POST, "/auth/logout", &token).await.expect(204);
    }
    world.bearer(Method::POST, "/auth/logout", "no.such.token").await.expect_problem(401, "invalid-token");
    world.bearer(Method::POST, "/auth/logout", "").await.expect_problem(401, "invalid-token");
}
