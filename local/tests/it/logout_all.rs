//! `POST /auth/logout-all`

use http::Method;

use crate::harness::{PASSWORD, PHONE, RESET_PASSWORD, World};

#[tokio::test]
async fn every_session_ends_at_once_and_a_new_login_works() {
    let world = World::new().with_account().await;
    let sessions = [world.tokens(PASSWORD).await, world.tokens(PASSWORD).await];
    world.bearer(Method::POST, "/auth/logout-all", &sessions[0].0).await.expect(204);
    for (access, refresh) in &sessions {
        world.me(access).await.expect_problem(401, "invalid-token");
        world.refresh(refresh).await.expect_problem(401, "invalid-token");
    }
    world.bearer(Method::POST, "/auth/logout-all", &sessions[0].0).await.expect_problem(401, "invalid-token");
    let token = world.token(PASSWORD).await;
    world.me(&token).await.expect(200);
}

#[tokio::test]
async fn an_open_code_dies_with_the_sessions() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    let code = world.code(PHONE).await;
    world.bearer(Method::POST, "/auth/logout-all", &token).await.expect(204);
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
}
