//! `POST /auth/login`

use serde_json::json;

use crate::{
    harness::{OTHER_PHONE, RESET_PASSWORD, World},
    jwt_attacks::Parts,
};

#[tokio::test]
async fn the_right_password_opens_a_session() {
    let world = World::new();
    let person = world.person().await;
    let reply = person.login().await.expect(200);
    assert_eq!(reply.text("token_type"), "bearer");
    assert_eq!(reply.body["expires_in"], 900);
    assert_eq!(reply.body.as_object().unwrap().len(), 5);
    person.me().await.expect(200);

    let session = &world.items("USER#").into_iter().find(|item| item["sk"]["S"] != "PROFILE").unwrap();
    assert_eq!(session["address"]["S"], "203.0.113.7");
    assert_eq!(session["epoch"]["N"], "1");
}

#[tokio::test]
async fn an_access_token_is_a_jwt_of_rfc_9068_without_personal_data() {
    let person = World::new().signed_in_person().await;
    let Parts { header, claims, .. } = Parts::of(&person.access_token());

    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    assert_eq!(header["kid"].as_str().unwrap().len(), 43);
    assert_eq!(claims["iss"], "https://latchkey.test");
    assert_eq!(claims["aud"], "latchkey");
    assert_eq!(claims["client_id"], "latchkey");
    assert_eq!(claims["iat"], 1_800_000_000);
    assert_eq!(claims["exp"], 1_800_000_900);
    assert_eq!(claims["auth_time"], 1_800_000_000);
    assert_eq!((&claims["amr"], &claims["ver"]), (&json!(["pwd"]), &json!(1)));
    for name in ["sub", "sid", "jti"] {
        assert_eq!(claims[name].as_str().unwrap().len(), 36, "{name}");
    }
    assert!(!claims.to_string().contains("1012345678"));
}

#[tokio::test]
async fn issuer_and_audience_are_as_configured() {
    let world = World::with(&[("JWT_ISSUER", "https://id.example"), ("JWT_AUDIENCE", "shop")]);
    let person = world.signed_in_person().await;
    let claims = Parts::of(&person.access_token()).claims;
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://id.example"), &json!("shop")));
    person.me().await.expect(200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_phone_get_the_same_answer() {
    let world = World::new();
    let (person, stranger) = (world.person().await, world.visitor(OTHER_PHONE));
    let wrong = person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    let unknown = stranger.mistyping().login().await.expect_problem(401, "invalid-credentials");
    assert!(wrong.fingerprint() == unknown.fingerprint());
    assert!(wrong.header("www-authenticate").is_some());
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_phone_cost_the_same_calls_and_one_hash() {
    let world = World::new().warm().await;
    let mut work = Vec::new();
    for guesser in [world.person().await, world.visitor(OTHER_PHONE)] {
        world.calls();
        let hashes = world.hashes();
        guesser.mistyping().login().await;
        assert_eq!(world.hashes(), hashes + 1);
        work.push(world.permissions_used());
    }
    assert_eq!(work[0], work[1]);
}

#[tokio::test]
async fn the_password_is_compared_exactly() {
    let person = World::new().person().await;
    for other in ["Mypassword", "mypassword ", " mypassword", "mypasswor", "mypassword\u{301}"] {
        person.typing(other).login().await.expect_problem(401, "invalid-credentials");
        person.login().await.expect(200);
    }
}

#[tokio::test]
async fn after_five_failures_each_further_try_costs_a_wait_that_doubles() {
    let world = World::new();
    let person = world.person().await;
    for _ in 0..6 {
        person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    }
    for wait in [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
        assert_eq!(person.login().await.expect_limit("login-phone"), wait);
        world.advance(wait - 1);
        assert_eq!(person.login().await.expect_limit("login-phone"), 1);
        world.advance(1);
        person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    }
    world.advance(900);
    person.login().await.expect(200);
    person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    person.login().await.expect(200);
}

#[tokio::test]
async fn an_unknown_phone_is_throttled_the_same() {
    let world = World::new();
    let (person, stranger) = (world.person().await.mistyping(), world.visitor(OTHER_PHONE).mistyping());
    let both = async || {
        let (known, unknown) = (person.login().await, stranger.login().await);
        assert!(known.fingerprint() == unknown.fingerprint());
        known
    };
    for _ in 0..6 {
        both().await.expect_problem(401, "invalid-credentials");
    }
    assert_eq!(both().await.expect_limit("login-phone"), 2);
}

#[tokio::test]
async fn the_count_belongs_to_the_phone_whatever_the_spelling_or_the_address() {
    let world = World::new();
    let person = world.person().await;
    let spellings = ["01012345678", "+201012345678", "+20 10 1234 5678"];
    for (at, spelling) in spellings.iter().cycle().take(6).enumerate() {
        let guesser = world.visitor(spelling).at(&format!("198.51.100.{at}")).mistyping();
        guesser.login().await.expect_problem(401, "invalid-credentials");
    }
    let elsewhere = person.at("198.51.100.99").with_header("x-forwarded-for", "192.0.2.1");
    elsewhere.login().await.expect_limit("login-phone");
}

#[tokio::test]
async fn after_a_hundred_failures_one_more_is_compared_a_day() {
    let world = World::new();
    let person = world.person().await;
    for _ in 0..100 {
        person.mistyping().login().await.expect_problem(401, "invalid-credentials");
        world.advance(900);
    }
    // The last one was compared 900 s ago.
    assert_eq!(person.login().await.expect_limit("login-phone"), 86_400 - 900);
    world.advance(86_400 - 900);
    person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    assert_eq!(person.login().await.expect_limit("login-phone"), 86_400);
    world.advance(86_400);
    person.login().await.expect(200);
    // A reset helps at once.
    for _ in 0..100 {
        person.mistyping().login().await.expect_problem(401, "invalid-credentials");
        world.advance(900);
    }
    person.login().await.expect_limit("login-phone");
    person.reset_password(RESET_PASSWORD).await;
    person.typing(RESET_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn an_address_tries_so_often() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "3")]);
    let person = world.person().await;
    for at in 0..3 {
        let guesser = world.visitor(&format!("0101234560{at}")).mistyping();
        guesser.login().await.expect_problem(401, "invalid-credentials");
    }
    let wait = person.login().await.expect_limit("login-address");
    assert!((1..=300).contains(&wait));
    for _ in 0..10 {
        person.mistyping().login().await.expect_limit("login-address");
    }
    let failures = &world.item("PHONE#+201012345678", "CREDENTIAL")["login_failures"]["N"];
    assert_eq!(failures, "0", "the phone's own tries are not used up");

    for disguise in ["x-forwarded-for", "forwarded", "x-real-ip"] {
        person.with_header(disguise, "192.0.2.1").login().await.expect_limit("login-address");
    }
    person.at("203.0.113.8").login().await.expect(200);
    world.advance(wait);
    person.login().await.expect(200);
}

#[tokio::test]
async fn ipv6_is_counted_by_its_network_and_mapped_ipv4_as_ipv4() {
    let person = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "2")]).person().await;
    let guesser = person.mistyping();
    guesser.at("2001:db8:1:2::1").login().await.expect(401);
    guesser.at("2001:db8:1:2:ffff::2").login().await.expect(401);
    guesser.at("2001:db8:1:2::3").login().await.expect_limit("login-address");
    guesser.at("2001:db8:1:3::1").login().await.expect(401);
    guesser.at("198.51.100.1").login().await.expect(401);
    guesser.at("::ffff:198.51.100.1").login().await.expect(401);
    guesser.at("198.51.100.1").login().await.expect_limit("login-address");
    // Right passwords count for nobody's address.
    for _ in 0..9 {
        person.at("192.0.2.1").login().await.expect(200);
    }
}

#[tokio::test]
async fn a_hash_of_older_parameters_is_replaced_at_the_next_login() {
    let world = World::with_full_hashes();
    let person = world.person().await;
    // The hash of "mypassword" by argon2id with m=8, t=1, p=1: as if the parameters had been raised since.
    let older = "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$3v+7B/hIqQ0vfMA5WcjRKK6Ugr8w4YkFz5Wx613Sq8M";
    let mut credential = world.item("PHONE#", "CREDENTIAL");
    credential["password_hash"]["S"] = older.into();
    world.put_item(&credential);

    person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["password_hash"]["S"], older, "a wrong password changes nothing");
    person.login().await.expect(200);
    let upgraded = world.item("PHONE#", "CREDENTIAL")["password_hash"]["S"].as_str().unwrap().to_owned();
    assert!(upgraded.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    person.login().await.expect(200);
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["password_hash"]["S"], upgraded, "once is enough");
}

#[tokio::test]
async fn wrong_fields_are_named_and_count_nothing() {
    let person = World::new().person().await;
    for _ in 0..10 {
        person.post("/auth/login", json!({})).await.expect_fields(&["/phone", "/password"]);
        person.typing("").login().await.expect_fields(&["/password"]);
        person.typing(&"x".repeat(129)).login().await.expect_fields(&["/password"]);
    }
    person.login().await.expect(200);
}
