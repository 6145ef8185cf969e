//! `GET /.well-known/jwks.json`

use crate::harness::World;

#[tokio::test]
async fn everybody_may_read_the_public_keys_and_keep_them_for_five_minutes() {
    let world = World::new();
    let reply = world.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
    let [key] = &world.jwks().await[..] else { panic!("one key") };
    let members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "public members only");
    assert_eq!((&key["use"], &key["alg"], &key["crv"]), (&"sig".into(), &"ES256".into(), &"P-256".into()));
    assert_eq!(key["kid"].as_str().unwrap().len(), 43, "an RFC 7638 thumbprint");
}

#[tokio::test]
async fn an_rsa_key_is_public_without_its_private_members() {
    let world = World::without_keys(&[("SIGNING_ALGORITHM", "RS256")]);
    world.rotate_keys().await.unwrap();
    let [key] = &world.jwks().await[..] else { panic!("one key") };
    let members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
    assert_eq!((&key["alg"], &key["e"]), (&"RS256".into(), &"AQAB".into()));
    assert_eq!(key["n"].as_str().unwrap().len(), 512, "384 bytes in base64url");
}

#[tokio::test]
async fn before_the_first_rotation_it_says_to_come_back() {
    let world = World::without_keys(&[]);
    world.get("/.well-known/jwks.json").await.expect_problem(503, "temporarily-unavailable");
    world.rotate_keys().await.unwrap();
    assert_eq!(world.jwks().await.len(), 1);
}
