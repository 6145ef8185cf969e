//! `POST /auth/login`

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::harness::{OTHER_PHONE, PASSWORD, PHONE, Request, World};

#[tokio::test]
async fn the_right_password_opens_a_session() {
    let world = World::new().with_account().await;
    let reply = world.login(PHONE, PASSWORD).await.expect(200);
    assert_eq!(reply.text("token_type"), "bearer");
    assert_eq!(reply.body["expires_in"], 900);
    assert_eq!(reply.body.as_object().unwrap().len(), 4);
    world.me(reply.text("access_token")).await.expect(200);

    let session = &world.items("USER#").into_iter().find(|item| item["sk"]["S"] != "PROFILE").unwrap();
    assert_eq!(session["address"]["S"], "203.0.113.7");
    assert_eq!(session["epoch"]["N"], "1");
}

#[tokio::test]
async fn an_access_token_is_a_jwt_of_rfc_9068_without_personal_data() {
    let world = World::new().with_account().await;
    let reply = world.login(PHONE, PASSWORD).await.expect(200);
    let mut parts = reply.text("access_token").split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap());
    let header: Value = serde_json::from_slice(&parts.next().unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&parts.next().unwrap()).unwrap();

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
    let world = World::with(&[("JWT_ISSUER", "https://id.example"), ("JWT_AUDIENCE", "shop")]).with_account().await;
    let token = world.token(PASSWORD).await;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://id.example"), &json!("shop")));
    world.me(&token).await.expect(200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_phone_get_the_same_answer() {
    let world = World::new().with_account().await;
    let wrong = world.login(PHONE, "wrong password").await.expect_problem(401, "invalid-credentials");
    let unknown = world.login(OTHER_PHONE, "wrong password").await.expect_problem(401, "invalid-credentials");
    assert!(wrong.fingerprint() == unknown.fingerprint());
    assert!(wrong.header("www-authenticate").is_some());
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_phone_cost_the_same_calls_and_one_hash() {
    let world = World::new().with_account().await.warm().await;
    let mut shapes = Vec::new();
    for phone in [PHONE, OTHER_PHONE] {
        world.calls();
        let hashes = world.hashes();
        world.login(phone, "wrong password").await;
        assert_eq!(world.hashes(), hashes + 1, "{phone}");
        shapes.push(world.calls().into_iter().map(|call| call.permissions).collect::<Vec<_>>());
    }
    assert_eq!(shapes[0], shapes[1]);
}

#[tokio::test]
async fn the_password_is_compared_exactly() {
    let world = World::new().with_account().await;
    for other in ["Mypassword", "mypassword ", " mypassword", "mypasswor", "mypassword\u{301}"] {
        world.login(PHONE, other).await.expect_problem(401, "invalid-credentials");
        world.login(PHONE, PASSWORD).await.expect(200);
    }
}

#[tokio::test]
async fn after_five_failures_each_further_try_costs_a_wait_that_doubles() {
    let world = World::new().with_account().await;
    for _ in 0..6 {
        world.login(PHONE, "wrong password").await.expect_problem(401, "invalid-credentials");
    }
    for wait in [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
        assert_eq!(world.login(PHONE, PASSWORD).await.expect_limit("login-phone"), wait);
        world.advance(wait - 1);
        assert_eq!(world.login(PHONE, PASSWORD).await.expect_limit("login-phone"), 1);
        world.advance(1);
        world.login(PHONE, "wrong password").await.expect_problem(401, "invalid-credentials");
    }
    world.advance(900);
    world.login(PHONE, PASSWORD).await.expect(200);
    world.login(PHONE, "wrong password").await.expect_problem(401, "invalid-credentials");
    world.login(PHONE, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn an_unknown_phone_is_throttled_the_same() {
    let world = World::new().with_account().await;
    for _ in 0..6 {
        let known = world.login(PHONE, "wrong password").await;
        let unknown = world.login(OTHER_PHONE, "wrong password").await;
        assert!(known.fingerprint() == unknown.fingerprint());
    }
    let known = world.login(PHONE, "wrong password").await;
    let unknown = world.login(OTHER_PHONE, "wrong password").await;
    assert!(known.fingerprint() == unknown.fingerprint());
    assert_eq!(known.expect_limit("login-phone"), 2);
}

#[tokio::test]
async fn the_count_belongs_to_the_phone_whatever_the_spelling_or_the_address() {
    let world = World::new().with_account().await;
    let spellings = ["01012345678", "+201012345678", "+20 10 1234 5678"];
    for (at, spelling) in spellings.iter().cycle().take(6).enumerate() {
        let body = json!({"phone": spelling, "password": "wrong password"});
        let from = format!("198.51.100.{at}");
        world.send(Request::post("/auth/login", body).from(&from)).await.expect_problem(401, "invalid-credentials");
    }
    let body = json!({"phone": PHONE, "password": PASSWORD});
    let request = Request::post("/auth/login", body).from("198.51.100.99").header("x-forwarded-for", "192.0.2.1");
    world.send(request).await.expect_limit("login-phone");
}

#[tokio::test]
async fn after_a_hundred_failures_only_a_reset_helps() {
    let world = World::new().with_account().await;
    for _ in 0..100 {
        world.login(PHONE, "wrong password").await.expect_problem(401, "invalid-credentials");
        world.advance(900);
    }
    world.advance(30 * 24 * 3600);
    world.login(PHONE, PASSWORD).await.expect_limit("login-phone");
    let code = world.code(PHONE).await;
    world.verify_reset(PHONE, &code, "a new password").await.expect(204);
    world.login(PHONE, "a new password").await.expect(200);
}

#[tokio::test]
async fn an_address_tries_so_often() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "3")]).with_account().await;
    for at in 0..3 {
        let phone = format!("0101234560{at}");
        world.login(&phone, "wrong password").await.expect_problem(401, "invalid-credentials");
    }
    let wait = world.login(PHONE, PASSWORD).await.expect_limit("login-address");
    assert!((1..=300).contains(&wait));
    for _ in 0..10 {
        world.login(PHONE, "wrong password").await.expect_limit("login-address");
    }
    let failures = &world.item("PHONE#+201012345678", "CREDENTIAL")["login_failures"]["N"];
    assert_eq!(failures, "0", "the phone's own tries are not used up");

    let again = Request::post("/auth/login", json!({"phone": PHONE, "password": PASSWORD}));
    let disguises = ["x-forwarded-for", "forwarded", "x-real-ip"];
    for name in disguises {
        world.send(again.clone().header(name, "192.0.2.1")).await.expect_limit("login-address");
    }
    world.send(again.from("203.0.113.8")).await.expect(200);
    world.advance(wait);
    world.login(PHONE, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn ipv6_is_counted_by_its_network_and_mapped_ipv4_as_ipv4() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "2")]).with_account().await;
    let from = async |address: &str| {
        let body = json!({"phone": PHONE, "password": PASSWORD});
        world.send(Request::post("/auth/login", body).from(address)).await
    };
    from("2001:db8:1:2::1").await.expect(200);
    from("2001:db8:1:2:ffff::2").await.expect(200);
    from("2001:db8:1:2::3").await.expect_limit("login-address");
    from("2001:db8:1:3::1").await.expect(200);
    from("198.51.100.1").await.expect(200);
    from("::ffff:198.51.100.1").await.expect(200);
    from("198.51.100.1").await.expect_limit("login-address");
}

#[tokio::test]
async fn a_hash_of_older_parameters_is_replaced_at_the_next_login() {
    let world = World::new().with_account().await;
    // The hash of "mypassword" by argon2id with m=8, t=1, p=1: as if the parameters had been raised since.
    let older = "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$3v+7B/hIqQ0vfMA5WcjRKK6Ugr8w4YkFz5Wx613Sq8M";
    let mut credential = world.item("PHONE#", "CREDENTIAL");
    credential["password_hash"]["S"] = older.into();
    world.put_item(&credential);

    world.login(PHONE, "wrong password").await.expect_problem(401, "invalid-credentials");
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["password_hash"]["S"], older, "a wrong password changes nothing");
    world.login(PHONE, PASSWORD).await.expect(200);
    let upgraded = world.item("PHONE#", "CREDENTIAL")["password_hash"]["S"].as_str().unwrap().to_owned();
    assert!(upgraded.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    world.login(PHONE, PASSWORD).await.expect(200);
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["password_hash"]["S"], upgraded, "once is enough");
}

#[tokio::test]
async fn wrong_fields_are_named_and_count_nothing() {
    let world = World::new().with_account().await;
    for _ in 0..10 {
        world.post("/auth/login", json!({})).await.expect_fields(&["/phone", "/password"]);
        world.post("/auth/login", json!({"phone": PHONE, "password": ""})).await.expect_fields(&["/password"]);
        world.login(PHONE, &"x".repeat(129)).await.expect_fields(&["/password"]);
    }
    world.login(PHONE, PASSWORD).await.expect(200);
}
