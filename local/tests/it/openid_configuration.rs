//! `GET /.well-known/openid-configuration`

use crate::harness::{ISSUER, World};

const PATH: &str = "/.well-known/openid-configuration";

#[tokio::test]
async fn it_says_where_the_keys_of_its_issuer_are() {
    let world = World::new();
    let reply = world.get(PATH).await.expect(200);
    assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(reply.text("issuer"), ISSUER);
    assert_eq!(reply.text("jwks_uri"), format!("{ISSUER}/.well-known/jwks.json"));
    assert_eq!(reply.body["id_token_signing_alg_values_supported"], serde_json::json!(["ES256", "RS256"]));
    // OpenID Connect Discovery 1.0 section 3 requires these of every document.
    for required in ["response_types_supported", "subject_types_supported"] {
        assert!(!reply.body[required].as_array().unwrap().is_empty(), "{required}");
    }
    // RFC 8414 section 2: nothing that is not there.
    for absent in ["authorization_endpoint", "token_endpoint", "grant_types_supported", "userinfo_endpoint"] {
        assert!(reply.body.get(absent).is_none(), "{absent}");
    }
}

#[tokio::test]
async fn its_issuer_is_that_of_the_tokens_byte_for_byte_and_the_claims_are_theirs() {
    for variables in [&[][..], &[("JWT_ISSUER", "https://auth.example/tenant")]] {
        let world = World::with(variables);
        let metadata = world.get(PATH).await.expect(200).body;
        let token = world.signed_in_person().await.access_token();
        let claims = crate::jwt_attacks::Parts::of(&token).claims;
        assert_eq!(claims["iss"], metadata["issuer"]);
        let mut supported: Vec<_> =
            metadata["claims_supported"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        supported.sort_unstable();
        assert_eq!(supported, claims.as_object().unwrap().keys().collect::<Vec<_>>());
    }
}

/// RFC 8414 section 3, for libraries that read OAuth 2.0's path.
#[tokio::test]
async fn the_path_of_oauth_has_the_same_document() {
    let world = World::new();
    let [openid, oauth] = [world.get(PATH).await, world.get("/.well-known/oauth-authorization-server").await];
    assert_eq!(oauth.bytes, openid.bytes);
    assert_eq!(oauth.header("cache-control"), openid.header("cache-control"));
}

/// An event without a domain name, as from a caller that is no HTTP API: a token of it would have the issuer `https://`.
#[tokio::test]
async fn without_a_domain_name_there_is_no_issuer_and_no_token() {
    let world = World::at("", &[]);
    world.get(PATH).await.expect_problem(500, "internal");
    let person = world.person().await;
    person.login().await.expect_problem(500, "internal");
    let world = World::at("", &[("JWT_ISSUER", "http://latchkey:8000")]);
    assert_eq!(world.get(PATH).await.expect(200).text("issuer"), "http://latchkey:8000");
    world.signed_in_person().await.me().await.expect(200);
}
