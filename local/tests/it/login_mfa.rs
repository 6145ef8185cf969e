//! `POST /auth/login/mfa`

use serde_json::{Value, json};

use crate::{
    harness::{
        NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, Person, RESET_PASSWORD, Reply, Request, THIRD_PHONE, World,
        another_code, code_in,
    },
    jwt_attacks::Parts,
};

async fn with_factor() -> (World, Person) {
    let world = World::new();
    let person = world.person_with_factor().await;
    (world, person)
}

#[tokio::test]
async fn password_and_code_sign_in() {
    let (_, person) = with_factor().await;
    let laptop = person.on_another_device();
    let first = laptop.login().await.expect_problem(403, "mfa-required");
    assert_eq!(first.body["methods"], json!(["totp", "recovery_code"]));
    assert!(first.body.get("access_token").is_none() && first.body.get("refresh_token").is_none());
    laptop.login_mfa().await.expect(200);
    laptop.me().await.expect(200);
    let methods = || Parts::of(&laptop.access_token()).claims["amr"].clone();
    assert_eq!(methods(), json!(["pwd", "otp", "mfa"]));
    laptop.refresh().await.expect(200);
    assert_eq!(methods(), json!(["pwd", "otp", "mfa"]), "a refresh keeps it");
}

#[tokio::test]
async fn a_wrong_password_is_told_as_ever_and_nothing_of_the_factor() {
    let (world, person) = with_factor().await;
    let other = world.person_with_phone(OTHER_PHONE).await;
    let with = person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    let without = other.mistyping().login().await;
    assert!(with.fingerprint() == without.fingerprint());
}

#[tokio::test]
async fn a_code_works_once_wherever_it_is_shown() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.enroll().await;
    let enrolled = person.with_proof("code", &person.new_authenticator().code());
    person.mfa_confirm(&person.new_authenticator().code()).await.expect(200);
    // The code that switched it on, at login.
    person.first_step().await;
    enrolled.login_mfa().await.expect_problem(400, "invalid-otp");
    world.advance(30);
    enrolled.login_mfa().await.expect_problem(400, "invalid-otp");
    // The code of a login, at another, and at everything else that asks for one.
    let used = person.with_code();
    used.login_mfa().await.expect(200);
    used.first_step().await;
    used.login_mfa().await.expect_problem(400, "invalid-otp");
    used.mfa_disable().await.expect_problem(400, "invalid-otp");
    used.mfa_recovery_codes().await.expect_problem(400, "invalid-otp");
    used.mfa_enroll().await.expect_problem(400, "invalid-otp");
    assert_eq!(person.me().await.expect(200).body["mfa_enabled"], true);
}

#[tokio::test]
async fn a_code_counts_in_its_step_and_the_next_and_an_older_step_never_after_a_newer_one() {
    let (world, person) = with_factor().await;
    let early = person.with_code();
    world.advance(30);
    person.first_step().await;
    early.login_mfa().await.expect(200);
    world.advance(30);
    let old = person.with_code();
    person.first_step().await;
    world.advance(60);
    old.login_mfa().await.expect_problem(400, "invalid-otp");
    let older = person.with_code();
    world.advance(30);
    person.login_mfa().await.expect(200);
    person.first_step().await;
    older.login_mfa().await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn the_token_of_the_first_step_opens_nothing_else() {
    let (world, person) = with_factor().await;
    let before = person.sessions().await.expect(200).body;
    person.first_step().await;
    let after = person.sessions().await.expect(200).body;
    assert!(before == after, "there is no session yet");

    let mfa_token = person.mfa_token();
    let description: Value = serde_json::from_str(docs::description()).unwrap();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty()) {
                let path = path.replace("{id}", "5c0c7a0e-6a55-4c40-9e44-0f7a7d3c8a3b");
                let request = Request::new(method.to_uppercase().parse().unwrap(), &path);
                world.bearer(&mfa_token).send(request).await.expect_problem(401, "invalid-token");
            }
        }
    }
    world.post("/auth/refresh", json!({"refresh_token": mfa_token})).await.expect_problem(401, "invalid-token");
    let event = json!({"version": "2.0", "headers": {"authorization": format!("Bearer {mfa_token}")}});
    assert_eq!(world.invoke("authorizer", event).await.unwrap(), json!({"isAuthorized": false}));

    // Nor does an access token stand for it.
    let instead = json!({"mfa_token": person.access_token(), "code": person.authenticator().code()});
    world.post("/auth/login/mfa", instead).await.expect_problem(401, "invalid-token");
    let Parts { header, claims, .. } = Parts::of(&mfa_token);
    assert_eq!((&header["typ"], &claims["aud"]), (&json!("mfa+jwt"), &json!("latchkey:mfa")));
    person.login_mfa().await.expect(200);
}

#[tokio::test]
async fn the_token_of_the_first_step_works_once_and_for_five_minutes() {
    let (world, person) = with_factor().await;
    person.first_step().await;
    person.login_mfa().await.expect(200);
    world.advance(30);
    person.login_mfa().await.expect_problem(401, "invalid-token");

    person.first_step().await;
    world.advance(300);
    person.login_mfa().await.expect_problem(401, "invalid-token");
    for made_up in ["", "made-up", "a.b.c"] {
        let body = json!({"mfa_token": made_up, "code": "123456"});
        world.post("/auth/login/mfa", body).await.expect_problem(401, "invalid-token");
    }
    // None of these used the good code up.
    person.first_step().await;
    person.login_mfa().await.expect(200);
}

#[tokio::test]
async fn a_token_that_is_over_is_told_why_and_what_to_do() {
    let (world, person) = with_factor().await;
    let again = "Start again with POST /auth/login or POST /auth/code.";
    let detail = |reply: Reply| reply.expect_problem(401, "invalid-token").body["detail"].as_str().unwrap().to_owned();
    person.first_step().await;
    world.advance(300);
    let expected = format!("`mfa_token` has expired: it is good for five minutes. {again}");
    assert_eq!(detail(person.login_mfa().await), expected);

    person.first_step().await;
    person.login_mfa().await.expect(200);
    world.advance(30);
    let over = detail(person.login_mfa().await);
    assert!(
        over.starts_with("The sign-in of this `mfa_token` is over: it was completed") && over.ends_with(again),
        "{over}"
    );

    for other in ["made-up", &person.access_token()] {
        let body = json!({"mfa_token": other, "code": person.authenticator().code()});
        let detail = detail(world.post("/auth/login/mfa", body).await);
        assert!(detail.starts_with("`mfa_token` is malformed or of another system. Send the one from"), "{detail}");
    }
}

#[tokio::test]
async fn a_login_that_waits_dies_with_the_sessions() {
    let (_, person) = with_factor().await;
    let laptop = person.on_another_device();
    laptop.first_step().await;
    person.with_recovery_code(0).change_password(NEW_PASSWORD).await.expect(200);
    laptop.login_mfa().await.expect_problem(401, "invalid-token");
    laptop.first_step().await;
    laptop.login_mfa().await.expect(200);
}

#[tokio::test]
async fn wrong_codes_cost_waits_of_their_own_and_a_new_first_step_forgives_none() {
    let (world, person) = with_factor().await;
    for _ in 0..6 {
        person.first_step().await;
        person.with_wrong_code().login_mfa().await.expect_problem(400, "invalid-otp");
        world.advance(2);
    }
    person.first_step().await;
    let wait = loop {
        let reply = person.with_wrong_code().login_mfa().await;
        if reply.status == 429 {
            break reply.expect_limit("mfa");
        }
        reply.expect_problem(400, "invalid-otp");
    };
    person.login_mfa().await.expect_limit("mfa");
    world.advance(wait);
    person.login_mfa().await.expect(200);
    assert!(world.item("USER#", "MFA")["totp_login_failures"].is_null(), "a success forgives them");
}

#[tokio::test]
async fn after_fifty_wrong_codes_only_a_recovery_code_helps() {
    let (world, person) = with_factor().await;
    let mut item = world.item("USER#", "MFA");
    item["totp_login_failures"] = json!({"N": "50"});
    item["totp_login_attempted_at"] = json!({"N": "1"});
    world.put_item(&item);
    person.first_step().await;
    person.login_mfa().await.expect_limit("mfa");
    person.with_proof("recovery_code", &"0".repeat(24)).login_mfa().await.expect_problem(400, "invalid-otp");
    person.with_recovery_code(0).login_mfa().await.expect(200);
    person.first_step().await;
    person.login_mfa().await.expect(200);
}

#[tokio::test]
async fn a_recovery_code_works_once_in_any_usual_spelling() {
    let (world, person) = with_factor().await;
    let codes = person.recovery_codes();
    let sign_in = async |code: &str| {
        person.first_step().await;
        person.with_proof("recovery_code", code).login_mfa().await
    };
    sign_in(&codes[0]).await.expect(200);
    for spelling in [codes[0].clone(), codes[0].replace('-', "").to_lowercase()] {
        sign_in(&spelling).await.expect_problem(400, "invalid-otp");
    }
    sign_in(&codes[1].replace('-', " ").to_lowercase()).await.expect(200);
    for code in &codes[2..] {
        sign_in(code).await.expect(200);
    }
    assert!(world.item("USER#", "MFA")["recovery_codes"].is_null(), "none is left");
    sign_in(&codes[9]).await.expect_problem(400, "invalid-otp");
    sign_in("too short").await.expect_fields(&["/recovery_code"]);
}

#[tokio::test]
async fn a_recovery_code_is_its_owners_alone() {
    let (world, person) = with_factor().await;
    let other = world.visitor(OTHER_PHONE).typing(NEW_PASSWORD).registered().await.signed_in().await;
    other.switch_factor_on().await;
    other.first_step().await;
    let stolen = [("recovery_code", person.recovery_codes()[0].clone()), ("code", person.authenticator().code())];
    for (member, value) in stolen {
        other.with_proof(member, &value).login_mfa().await.expect_problem(400, "invalid-otp");
    }
    other.login_mfa().await.expect(200);
}

#[tokio::test]
async fn a_reset_leaves_the_factor_on_and_asks_for_it() {
    let (world, person) = with_factor().await;
    let otp = person.reset_code().await;
    let asked = person.verify_reset(&otp, RESET_PASSWORD).await.expect_problem(403, "mfa-required");
    assert!(asked.body.get("mfa_token").is_none(), "it opens no way around");
    person.with_wrong_code().verify_reset(&otp, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    person.login().await.expect_problem(403, "mfa-required");
    person.with_code().verify_reset(&otp, RESET_PASSWORD).await.expect(204);

    world.advance(30);
    person.typing(PASSWORD).login().await.expect_problem(401, "invalid-credentials");
    person.typing(RESET_PASSWORD).first_step().await;
    person.login_mfa().await.expect(200);
}

#[tokio::test]
async fn who_has_a_factor_is_not_told_to_whoever_has_no_code() {
    let (world, person) = with_factor().await;
    let (other, stranger) = (world.person_with_phone(OTHER_PHONE).await, world.visitor(THIRD_PHONE));
    let mut answers = Vec::new();
    for guesser in [&person, &other, &stranger] {
        guesser.request_reset().await.expect(202);
        // Not what was sent to the phone, if something was.
        let sent = world.outbox.messages().remove(0).text;
        let guess = another_code(code_in(&sent).unwrap());
        answers.push(guesser.verify_reset(&guess, RESET_PASSWORD).await.fingerprint());
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_change_of_phone_asks_for_the_factor_and_takes_it_along() {
    let (world, person) = with_factor().await;
    person.change_phone(OTHER_PHONE).await.expect_problem(403, "mfa-required");
    person.with_code().move_to(OTHER_PHONE).await;
    world.advance(30);
    person.first_step().await;
    person.login_mfa().await.expect(200);
    // The number that was left has no factor for its next owner.
    world.visitor(PHONE).typing(NEW_PASSWORD).registered().await.login().await.expect(200);
}

#[tokio::test]
async fn guesses_at_everything_that_asks_a_signed_in_user_are_counted_together() {
    let (_, person) = with_factor().await;
    let wrong = person.with_wrong_code();
    for guess in [
        wrong.mfa_disable().await,
        wrong.mfa_recovery_codes().await,
        wrong.mfa_enroll().await,
        wrong.delete_account().await,
        wrong.change_phone(OTHER_PHONE).await,
        wrong.mfa_disable().await,
    ] {
        guess.expect_problem(400, "invalid-otp");
    }
    // From now on the right one has to wait, everywhere.
    let right = person.with_code();
    for answer in [
        right.mfa_disable().await,
        right.mfa_recovery_codes().await,
        right.mfa_enroll().await,
        right.delete_account().await,
        right.change_phone(OTHER_PHONE).await,
    ] {
        answer.expect_limit("mfa");
    }
}

#[tokio::test]
async fn wrong_passwords_are_forgiven_by_the_second_step_and_not_by_the_first() {
    let (world, person) = with_factor().await;
    person.mistyping().login().await.expect(401);
    person.first_step().await;
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["login_failures"]["N"], "1");
    person.login_mfa().await.expect(200);
    assert!(world.item("PHONE#", "CREDENTIAL")["login_failures"].is_null());
}

#[tokio::test]
async fn an_address_over_its_limit_does_not_use_up_the_guesses() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "1")]);
    let person = world.person_with_factor().await;
    person.first_step().await;
    let wrong = person.with_wrong_code();
    wrong.login_mfa().await.expect_problem(400, "invalid-otp");
    for _ in 0..10 {
        wrong.login_mfa().await.expect_limit("login-address");
    }
    assert_eq!(world.item("USER#", "MFA")["totp_login_failures"]["N"], "1");
}

#[tokio::test]
async fn wrong_fields_are_named_and_use_nothing_up() {
    let (world, person) = with_factor().await;
    person.first_step().await;
    let (mfa_token, code) = (person.mfa_token(), person.authenticator().code());
    let check = async |body, fields: &[&str]| {
        world.post("/auth/login/mfa", body).await.expect_fields(fields);
    };
    check(json!({}), &["/mfa_token", "/code"]).await;
    check(json!({"mfa_token": mfa_token}), &["/code"]).await;
    check(json!({"mfa_token": mfa_token, "code": 123_456}), &["/code"]).await;
    check(json!({"mfa_token": mfa_token, "code": format!("{code}x")}), &["/code"]).await;
    check(json!({"mfa_token": mfa_token, "recovery_code": "123456"}), &["/recovery_code"]).await;
    let both = json!({"mfa_token": mfa_token, "code": code, "recovery_code": person.recovery_codes()[0]});
    check(both, &["/recovery_code"]).await;
    assert!(world.item("USER#", "MFA")["totp_login_failures"].is_null());
    person.login_mfa().await.expect(200);
}

/// A code that died with a change of the account is wrong before a second factor is asked for, and costs no recovery code.
#[tokio::test]
async fn a_reset_code_that_is_dead_uses_no_factor_up() {
    let (world, person) = with_factor().await;
    let otp = person.reset_code().await;
    person.with_code().change_password(NEW_PASSWORD).await.expect(200);
    for person in [&person, &person.with_recovery_code(0)] {
        person.verify_reset(&otp, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    assert_eq!(world.item("USER#", "MFA")["recovery_codes"]["SS"].as_array().unwrap().len(), 10);
}

/// Begun and left: the password was right each time.
#[tokio::test]
async fn a_right_password_without_its_second_step_is_no_wrong_one() {
    let world = World::new();
    let person = world.person_with_factor().await;
    for _ in 0..12 {
        person.first_step().await;
    }
    person.with_code().mfa_recovery_codes().await.expect(200);
    let export = person.export().await.expect(200);
    assert_eq!(export.body["sign_in_attempts"]["failures"], 0);
}

/// It takes its own try back and no other: wrong ones add up beside it, and wait as long as without it.
#[tokio::test]
async fn a_first_step_forgives_no_wrong_password() {
    let world = World::new();
    let person = world.person_with_factor().await;
    for _ in 0..5 {
        person.mistyping().login().await.expect_problem(401, "invalid-credentials");
        person.first_step().await;
    }
    person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    assert_eq!(person.mistyping().login().await.expect_limit("login-phone"), 2);
    world.advance(2);
    person.first_step().await;
    assert_eq!(person.mistyping().login().await.expect_limit("login-phone"), 2);
    world.advance(2);
    person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    assert_eq!(person.login().await.expect_limit("login-phone"), 4);
    world.advance(30);
    person.sign_in().await;
    assert_eq!(person.export().await.expect(200).body["sign_in_attempts"]["failures"], 0);
}

#[tokio::test]
async fn a_sign_in_that_was_tried_too_often_is_told_so() {
    let person = World::new().person_with_factor().await;
    person.first_step().await;
    let guess = person.with_proof("recovery_code", "9QK2-7H3M-5TZA-0C8W-RJ4E-VX6P");
    for _ in 0..10 {
        guess.login_mfa().await.expect_problem(400, "invalid-otp");
    }
    let reply = guess.login_mfa().await.expect_problem(401, "invalid-token");
    assert!(reply.text("detail").contains("it was completed, was tried too often, or"), "{}", reply.text("detail"));
}
