//! `POST /auth/logout`

use crate::harness::World;

#[tokio::test]
async fn this_session_ends_at_once_and_no_other() {
    let person = World::new().signed_in_person().await;
    let laptop = person.on_another_device().signed_in().await;
    let reply = person.logout().await.expect(204);
    assert!(reply.bytes.is_empty());
    person.me().await.expect_problem(401, "invalid-token");
    person.refresh().await.expect_problem(401, "invalid-token");
    laptop.me().await.expect(200);
}

#[tokio::test]
async fn the_end_of_a_session_that_has_ended_is_a_success() {
    let person = World::new().signed_in_person().await;
    for _ in 0..2 {
        person.logout().await.expect(204);
    }
    for made_up in ["no.such.token", ""] {
        person.bearing(made_up).logout().await.expect_problem(401, "invalid-token");
    }
}
