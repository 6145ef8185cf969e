//! `__ROUTE__`

use http::Method;

use crate::harness::{Request, World};

const PATH: &str = "__SENT_PATH__";

#[tokio::test]
async fn the_caller_learns_who_they_are() {
    let person = World::new().signed_in_person().await;
    let reply = person.send(Request::new(Method::__METHOD__, PATH)).await.expect(200);
    assert_eq!(reply.body["user"], person.me().await.expect(200).body["id"]);
}

#[tokio::test]
async fn a_made_up_token_is_refused() {
    let stranger = World::new().bearer("no.such.token");
    stranger.send(Request::new(Method::__METHOD__, PATH)).await.expect_problem(401, "invalid-token");
}
