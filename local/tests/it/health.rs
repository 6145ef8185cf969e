//! `GET /health`

use crate::harness::World;

#[tokio::test]
async fn it_says_that_it_runs_and_which_version_and_asks_nothing_of_the_table() {
    let world = World::new();
    let reply = world.get("/health").await.expect(200);
    assert_eq!(reply.text("status"), "ok");
    assert_eq!(reply.text("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(world.calls().is_empty());
}
