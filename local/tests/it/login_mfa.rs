//! `POST /auth/login/mfa`

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Method;
use serde_json::{Value, json};

use crate::harness::{
    Factor, NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, Request, World, another_code,
};

async fn with_factor() -> (World, Factor) {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    (world, factor)
}

/// What a token says, header and claims.
fn parts(token: &str) -> (Value, Value) {
    let decode = |part| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let mut parts = token.split('.');
    (decode(parts.next().unwrap()), decode(parts.next().unwrap()))
}

#[tokio::test]
async fn password_and_code_sign_in() {
    let (world, factor) = with_factor().await;
    let first = world.login(PHONE, PASSWORD).await.expect_problem(403, "mfa-required");
    assert_eq!(first.body["methods"], json!(["totp", "recovery_code"]));
    assert!(first.body.get("access_token").is_none() && first.body.get("refresh_token").is_none());
    let reply = world.login_mfa(first.text("mfa_token"), ("code", &factor.code(&world))).await.expect(200);
    let (token, refresh_token) = reply.tokens();
    world.me(&token).await.expect(200);
    assert_eq!(parts(&token).1["amr"], json!(["pwd", "otp", "mfa"]));
    let next = world.refresh(&refresh_token).await.expect(200).tokens().0;
    assert_eq!(parts(&next).1["amr"], json!(["pwd", "otp", "mfa"]), "a refresh keeps it");
}

#[tokio::test]
async fn a_wrong_password_is_told_as_ever_and_nothing_of_the_factor() {
    let (world, _) = with_factor().await;
    world.register(OTHER_PHONE, PASSWORD).await.expect(201);
    let with = world.login(PHONE, "wrong password").await.expect_problem(401, "invalid-credentials");
    let without = world.login(OTHER_PHONE, "wrong password").await;
    assert!(with.fingerprint() == without.fingerprint());
}

#[tokio::test]
async fn a_code_works_once_wherever_it_is_shown() {
    // See docs/threats.md#a11.
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    let secret = world.enroll_verified(&token, PASSWORD).await.expect(200).text("secret").to_owned();
    let authenticator = crate::harness::Authenticator::new(&secret);
    let code = authenticator.code(&world);
    world.mfa_confirm(&token, &code).await.expect(200);
    // The code of the enrolment, at login.
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &code)).await.expect_problem(400, "invalid-otp");
    world.advance(30);
    world.login_mfa(&mfa_token, ("code", &code)).await.expect_problem(400, "invalid-otp");
    // The code of a login, at another, and at everything else that asks for one.
    let code = authenticator.code(&world);
    let session = world.login_mfa(&mfa_token, ("code", &code)).await.expect(200).tokens().0;
    let again = world.mfa_token(PASSWORD).await;
    world.login_mfa(&again, ("code", &code)).await.expect_problem(400, "invalid-otp");
    for path in ["/auth/mfa/disable", "/auth/mfa/recovery-codes", "/auth/mfa/enroll"] {
        let reply = world.with_factor(path, &session, PASSWORD, ("code", &code)).await;
        reply.expect_problem(400, "invalid-otp");
    }
    assert_eq!(world.me(&session).await.expect(200).body["mfa_enabled"], true);
}

#[tokio::test]
async fn a_code_counts_in_its_step_and_the_next_and_an_older_step_never_after_a_newer_one() {
    let (world, factor) = with_factor().await;
    let early = factor.code(&world);
    world.advance(30);
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &early)).await.expect(200);
    world.advance(30);
    let (old, mfa_token) = (factor.code(&world), world.mfa_token(PASSWORD).await);
    world.advance(60);
    world.login_mfa(&mfa_token, ("code", &old)).await.expect_problem(400, "invalid-otp");
    let older = factor.code(&world);
    world.advance(30);
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect(200);
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &older)).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn the_token_of_the_first_step_opens_nothing_else() {
    // See docs/threats.md#a16, docs/threats.md#a17, docs/threats.md#a34.
    let (world, factor) = with_factor().await;
    let before = world.bearer(Method::GET, "/auth/sessions", &factor.token).await.expect(200).body;
    let mfa_token = world.mfa_token(PASSWORD).await;
    let after = world.bearer(Method::GET, "/auth/sessions", &factor.token).await.expect(200).body;
    assert!(before == after, "there is no session yet");

    let description: Value = serde_json::from_str(docs::description()).unwrap();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation["security"].is_array() {
                let path = path.replace("{id}", "5c0c7a0e-6a55-4c40-9e44-0f7a7d3c8a3b");
                let request = Request::new(method.to_uppercase().parse().unwrap(), &path).bearer(&mfa_token);
                world.send(request).await.expect_problem(401, "invalid-token");
            }
        }
    }
    world.refresh(&mfa_token).await.expect_problem(401, "invalid-token");
    let event = json!({"headers": {"authorization": format!("Bearer {mfa_token}")}});
    assert_eq!(world.invoke("authorizer", event).await.unwrap(), json!({"isAuthorized": false}));

    // Nor does an access token stand for it.
    let code = factor.code(&world);
    world.login_mfa(&factor.token, ("code", &code)).await.expect_problem(401, "invalid-token");
    let (header, claims) = parts(&mfa_token);
    assert_eq!((&header["typ"], &claims["aud"]), (&json!("mfa+jwt"), &json!("latchkey:mfa")));
    world.login_mfa(&mfa_token, ("code", &code)).await.expect(200);
}

#[tokio::test]
async fn the_token_of_the_first_step_works_once_and_for_five_minutes() {
    let (world, factor) = with_factor().await;
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect(200);
    world.advance(30);
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect_problem(401, "invalid-token");

    let late = world.mfa_token(PASSWORD).await;
    world.advance(300);
    world.login_mfa(&late, ("code", &factor.code(&world))).await.expect_problem(401, "invalid-token");
    for made_up in ["", "made-up", "a.b.c"] {
        world.login_mfa(made_up, ("code", "123456")).await.expect_problem(401, "invalid-token");
    }
    // None of these used the good code up.
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect(200);
}

#[tokio::test]
async fn a_login_that_waits_dies_with_the_sessions() {
    let (world, factor) = with_factor().await;
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.change_password(&factor.token, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect_problem(401, "invalid-token");
    let mfa_token = world.mfa_token(NEW_PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect(200);
}

#[tokio::test]
async fn wrong_codes_cost_waits_of_their_own_and_a_new_first_step_forgives_none() {
    let (world, factor) = with_factor().await;
    for _ in 0..6 {
        let mfa_token = world.mfa_token(PASSWORD).await;
        let wrong = another_code(&factor.code(&world));
        world.login_mfa(&mfa_token, ("code", &wrong)).await.expect_problem(400, "invalid-otp");
        world.advance(2);
        // The password's own throttle would get in the way: its owner's password is right.
        let mut credential = world.item("PHONE#", "CREDENTIAL");
        credential.as_object_mut().unwrap().remove("login_failures");
        world.put_item(&credential);
    }
    let mfa_token = world.mfa_token(PASSWORD).await;
    let wait = loop {
        let reply = world.login_mfa(&mfa_token, ("code", &another_code(&factor.code(&world)))).await;
        if reply.status == 429 {
            break reply.expect_limit("mfa");
        }
        reply.expect_problem(400, "invalid-otp");
    };
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect_limit("mfa");
    world.advance(wait);
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect(200);
    assert!(world.item("USER#", "MFA")["login_failures"].is_null(), "a success forgives them");
}

#[tokio::test]
async fn after_a_hundred_wrong_codes_only_a_recovery_code_helps() {
    let (world, factor) = with_factor().await;
    let mut item = world.item("USER#", "MFA");
    item["login_failures"] = json!({"N": "100"});
    item["login_attempted_at"] = json!({"N": "1"});
    world.put_item(&item);
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect_limit("mfa");
    let wrong = "0".repeat(24);
    world.login_mfa(&mfa_token, ("recovery_code", &wrong)).await.expect_problem(400, "invalid-otp");
    // Wrong recovery codes cost waits as well.
    let wait = world.login_mfa(&mfa_token, ("recovery_code", &factor.recovery_codes[0])).await.expect_limit("mfa");
    assert_eq!(wait, 900);
    world.advance(900);
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("recovery_code", &factor.recovery_codes[0])).await.expect(200);
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect(200);
}

#[tokio::test]
async fn a_recovery_code_works_once_in_any_usual_spelling() {
    // See docs/threats.md#a13.
    let (world, factor) = with_factor().await;
    let sign_in = async |code: &str| {
        let mfa_token = world.mfa_token(PASSWORD).await;
        world.login_mfa(&mfa_token, ("recovery_code", code)).await
    };
    sign_in(&factor.recovery_codes[0]).await.expect(200);
    for spelling in [factor.recovery_codes[0].clone(), factor.recovery_codes[0].replace('-', "").to_lowercase()] {
        sign_in(&spelling).await.expect_problem(400, "invalid-otp");
    }
    sign_in(&factor.recovery_codes[1].replace('-', " ").to_lowercase()).await.expect(200);
    for code in &factor.recovery_codes[2..] {
        sign_in(code).await.expect(200);
    }
    assert!(world.item("USER#", "MFA")["recovery_codes"].is_null(), "none is left");
    sign_in(&factor.recovery_codes[9]).await.expect_problem(400, "invalid-otp");
    sign_in("too short").await.expect_fields(&["/recovery_code"]);
}

#[tokio::test]
async fn a_recovery_code_is_its_owners_alone() {
    // See docs/threats.md#a14.
    let (world, factor) = with_factor().await;
    world.register(OTHER_PHONE, NEW_PASSWORD).await.expect(201);
    let token = world.login(OTHER_PHONE, NEW_PASSWORD).await.expect(200).tokens().0;
    let secret = world.enroll_verified(&token, NEW_PASSWORD).await.expect(200).text("secret").to_owned();
    let other = crate::harness::Authenticator::new(&secret);
    world.mfa_confirm(&token, &other.code(&world)).await.expect(200);
    world.advance(30);
    let mfa_token = world.login(OTHER_PHONE, NEW_PASSWORD).await.expect(403).text("mfa_token").to_owned();
    let wrong = [("recovery_code", factor.recovery_codes[0].clone()), ("code", factor.code(&world))];
    for (name, value) in wrong {
        world.login_mfa(&mfa_token, (name, &value)).await.expect_problem(400, "invalid-otp");
    }
    world.login_mfa(&mfa_token, ("code", &other.code(&world))).await.expect(200);
}

#[tokio::test]
async fn a_reset_leaves_the_factor_on_and_asks_for_it() {
    // See docs/threats.md#a16, docs/threats.md#a18.
    let (world, factor) = with_factor().await;
    let code = world.code(PHONE).await;
    let verify = async |proof: Option<(&str, &str)>| {
        let mut body = json!({"phone": PHONE, "otp": code, "new_password": RESET_PASSWORD});
        if let Some((name, value)) = proof {
            body[name] = value.into();
        }
        world.post("/auth/verify-reset", body).await
    };
    let asked = verify(None).await.expect_problem(403, "mfa-required");
    assert!(asked.body.get("mfa_token").is_none(), "it opens no way around");
    verify(Some(("code", &another_code(&factor.code(&world))))).await.expect_problem(400, "invalid-otp");
    world.login(PHONE, PASSWORD).await.expect_problem(403, "mfa-required");
    verify(Some(("code", &factor.code(&world)))).await.expect(204);

    world.advance(30);
    world.login(PHONE, PASSWORD).await.expect_problem(401, "invalid-credentials");
    let mfa_token = world.mfa_token(RESET_PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect(200);
}

#[tokio::test]
async fn who_has_a_factor_is_not_told_to_whoever_has_no_code() {
    let (world, _) = with_factor().await;
    world.register(OTHER_PHONE, PASSWORD).await.expect(201);
    let mut answers = Vec::new();
    for phone in [PHONE, OTHER_PHONE, "01212345678"] {
        let code = {
            world.request_reset(phone).await.expect(202);
            another_code(&world.last_code())
        };
        answers.push(world.verify_reset(phone, &code, RESET_PASSWORD).await.fingerprint());
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_change_of_phone_asks_for_the_factor_and_takes_it_along() {
    let (world, factor) = with_factor().await;
    world.change_phone(&factor.token, PASSWORD, OTHER_PHONE).await.expect_problem(403, "mfa-required");
    let body = json!({"password": PASSWORD, "phone": OTHER_PHONE, "code": factor.code(&world)});
    world.send(Request::post("/auth/change-phone", body).bearer(&factor.token)).await.expect(202);
    world.change_phone_verify(&factor.token, OTHER_PHONE, &world.last_code()).await.expect(204);
    world.advance(30);
    let mfa_token = world.login(OTHER_PHONE, PASSWORD).await.expect_problem(403, "mfa-required");
    world.login_mfa(mfa_token.text("mfa_token"), ("code", &factor.code(&world))).await.expect(200);
    // The number that was left has no factor, whoever gets it.
    world.register(PHONE, NEW_PASSWORD).await.expect(201);
    world.login(PHONE, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn guesses_at_everything_that_asks_for_the_factor_are_counted_together() {
    // See docs/threats.md#a19.
    let (world, factor) = with_factor().await;
    let wrong = another_code(&factor.code(&world));
    let paths = ["/auth/mfa/disable", "/auth/mfa/recovery-codes", "/auth/mfa/enroll"];
    let otp = world.code(PHONE).await;
    let change_phone = async |code: &str| {
        let body = json!({"password": PASSWORD, "phone": OTHER_PHONE, "code": code});
        world.send(Request::post("/auth/change-phone", body).bearer(&factor.token)).await
    };
    let reset = async |code: &str| {
        let body = json!({"phone": PHONE, "otp": otp, "new_password": NEW_PASSWORD, "code": code});
        world.post("/auth/verify-reset", body).await
    };
    for path in paths {
        world.with_factor(path, &factor.token, PASSWORD, ("code", &wrong)).await.expect_problem(400, "invalid-otp");
    }
    world.delete_me(&factor.token, PASSWORD, ("code", &wrong)).await.expect_problem(400, "invalid-otp");
    reset(&wrong).await.expect_problem(400, "invalid-otp");
    change_phone(&wrong).await.expect_problem(400, "invalid-otp");
    // From now on the right one has to wait, everywhere.
    let right = factor.code(&world);
    for path in paths {
        world.with_factor(path, &factor.token, PASSWORD, ("code", &right)).await.expect_limit("mfa");
    }
    world.delete_me(&factor.token, PASSWORD, ("code", &right)).await.expect_limit("mfa");
    reset(&right).await.expect_limit("mfa");
    change_phone(&right).await.expect_limit("mfa");
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect_limit("mfa");
}

#[tokio::test]
async fn the_passwords_throttle_is_cleared_by_the_second_step_and_not_by_the_first() {
    let (world, factor) = with_factor().await;
    world.login(PHONE, "wrong password").await.expect(401);
    let mfa_token = world.mfa_token(PASSWORD).await;
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["login_failures"]["N"], "2");
    world.login_mfa(&mfa_token, ("code", &factor.code(&world))).await.expect(200);
    assert!(world.item("PHONE#", "CREDENTIAL")["login_failures"].is_null());
}

#[tokio::test]
async fn an_address_over_its_limit_does_not_use_up_the_guesses() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "5")]).with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let mfa_token = world.mfa_token(PASSWORD).await;
    let wrong = another_code(&factor.code(&world));
    world.login_mfa(&mfa_token, ("code", &wrong)).await.expect_problem(400, "invalid-otp");
    for _ in 0..10 {
        world.login_mfa(&mfa_token, ("code", &wrong)).await.expect_limit("login-address");
    }
    assert_eq!(world.item("USER#", "MFA")["login_failures"]["N"], "1");
}

#[tokio::test]
async fn wrong_fields_are_named_and_use_nothing_up() {
    let (world, factor) = with_factor().await;
    let mfa_token = world.mfa_token(PASSWORD).await;
    let check = async |body, fields: &[&str]| {
        world.post("/auth/login/mfa", body).await.expect_fields(fields);
    };
    let code = factor.code(&world);
    check(json!({}), &["/mfa_token", "/code"]).await;
    check(json!({"mfa_token": mfa_token}), &["/code"]).await;
    check(json!({"mfa_token": mfa_token, "code": 123_456}), &["/code"]).await;
    check(json!({"mfa_token": mfa_token, "code": format!("{} {}", &code[..3], &code[3..])}), &["/code"]).await;
    check(json!({"mfa_token": mfa_token, "recovery_code": "123456"}), &["/recovery_code"]).await;
    let both = json!({"mfa_token": mfa_token, "code": code, "recovery_code": factor.recovery_codes[0]});
    check(both, &["/recovery_code"]).await;
    assert!(world.item("USER#", "MFA")["login_failures"].is_null());
    world.login_mfa(&mfa_token, ("code", &code)).await.expect(200);
}

/// A code that died with what the account was is wrong before anything is asked for, and costs no recovery code.
#[tokio::test]
async fn a_reset_code_that_is_dead_uses_no_factor_up() {
    let (world, factor) = with_factor().await;
    let code = world.code(PHONE).await;
    world.change_password(&factor.token, PASSWORD, NEW_PASSWORD).await.expect(204);
    let body = json!({"phone": PHONE, "otp": code, "new_password": RESET_PASSWORD});
    world.post("/auth/verify-reset", body.clone()).await.expect_problem(400, "invalid-otp");
    let mut with_code = body;
    with_code["recovery_code"] = factor.recovery_codes[0].clone().into();
    world.post("/auth/verify-reset", with_code).await.expect_problem(400, "invalid-otp");
    assert_eq!(world.item("USER#", "MFA")["recovery_codes"]["SS"].as_array().unwrap().len(), 10);
}
