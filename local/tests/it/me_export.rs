//! `GET /auth/me/export`

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{E164, OTHER_PHONE, PASSWORD, PHONE, World, another_code};

#[tokio::test]
async fn it_tells_everything_that_is_stored_but_secrets() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let mfa_token = world.mfa_token(PASSWORD).await;
    let code = factor.code(&world);
    world.login_mfa(&mfa_token, ("code", &another_code(&code))).await.expect(400);
    world.with_factor("/auth/mfa/enroll", &factor.token, PASSWORD, ("code", &code)).await.expect(200);
    let otp = world.code(PHONE).await;
    world.verify_reset(PHONE, &another_code(&otp), "newPass456").await.expect(400);
    world.login(PHONE, "wrong password").await.expect(401);

    let export = world.export(&factor.token).await.expect(200).body;
    let account = &export["account"];
    assert_eq!((&account["phone"], &account["mfa_enabled"]), (&json!(E164), &json!(true)));
    assert_eq!(export["sign_in_attempts"]["failures"], 2, "one that waits for its second step, and a wrong one");
    assert_eq!(export["second_factor"]["recovery_codes_left"], 10);
    assert_eq!(export["second_steps_end_at"].as_array().unwrap().len(), 1);
    assert!(export["enrolment_ends_at"].is_string());
    let sessions = export["sessions"].as_array().unwrap();
    assert_eq!((sessions.len(), &sessions[0]["second_factor"]), (1, &json!(true)));
    assert_eq!((&export["codes"][0]["purpose"], &export["codes"][0]["phone"]), (&json!("reset"), &json!(E164)));
    assert_eq!((&export["codes"][0]["attempts"], &export["codes"][0]["failures"]), (&json!(1), &json!(1)));
    assert_eq!(export["messages_today"], 2, "one that verified the phone");
}

/// What is stored and not told is a secret, its hash, or how we keep our books: whoever stores something new has to say
/// which.
#[tokio::test]
async fn no_attribute_is_forgotten() {
    const TOLD: [&str; 25] = [
        "address",
        "attempts",
        "code_ends_at",
        "created_at",
        "device",
        "ends_at",
        "failures",
        "failures_since",
        "idle_ends_at",
        "last_used_at",
        "legacy_id",
        "login_attempted_at",
        "login_failures",
        "mfa_enabled",
        "phone",
        "phone_verified_at",
        "pk",
        "recovery_codes",
        "second_factor",
        "sk",
        "user_id",
        "uses",
        // Of a session, it is when that was last used; of a code, it was long ago when somebody reads this.
        "rotated_at",
        "resend_at",
        // Collected an hour or a day after the end that is told.
        "expires_at",
    ];
    const SECRETS: [&str; 5] = ["code_mac", "password_hash", "salt", "totp_secret", "challenge_id"];
    const BOOKS: [&str; 4] = ["epoch", "generation", "op", "totp_step"];
    let world = World::new().with_account().await;
    world.switch_factor_on(PASSWORD).await;
    world.mfa_token(PASSWORD).await;
    world.code(PHONE).await;
    let items = world.items("");
    let stored: BTreeSet<_> = items
        .iter()
        .filter(|item| item["pk"]["S"] != "KEYS")
        .flat_map(|item| item.as_object().unwrap().keys().map(String::as_str))
        .collect();
    let known = [&TOLD[..], &SECRETS, &BOOKS].concat();
    let unknown: Vec<_> = stored.iter().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "neither told nor secret: {unknown:?}");
}

/// Every item that leads to the caller is told, or is kept without their name.
#[tokio::test]
async fn no_item_is_forgotten() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    world.mfa_token(PASSWORD).await;
    world.with_factor("/auth/mfa/enroll", &factor.token, PASSWORD, ("code", &factor.code(&world))).await.expect(200);
    world.code(PHONE).await;
    world.advance(30);
    let body = json!({"password": PASSWORD, "phone": OTHER_PHONE, "code": factor.code(&world)});
    world.send(crate::harness::Request::post("/auth/change-phone", body).bearer(&factor.token)).await.expect(202);
    let export = world.export(&factor.token).await.expect(200).body;
    let user = export["account"]["id"].as_str().unwrap();
    let mut told = Vec::new();
    for item in world.items("").iter().filter(|item| {
        let text = item.to_string();
        text.contains(user) || text.contains(E164)
    }) {
        let sort = item["sk"]["S"].as_str().unwrap();
        let place = match sort.split('#').next().unwrap() {
            "PROFILE" => &export["account"],
            "CREDENTIAL" => &export["sign_in_attempts"],
            "SESSION" => &export["sessions"][0],
            "OTP" => {
                let codes = export["codes"].as_array().unwrap();
                let is_it = |code: &&Value| sort.starts_with(&format!("OTP#{}", code["purpose"].as_str().unwrap()));
                codes.iter().find(is_it).unwrap_or(&Value::Null)
            }
            _ if sort == "MFA" => &export["second_factor"],
            _ if sort == "MFA#ENROLMENT" => &export["enrolment_ends_at"],
            _ if sort.starts_with("MFA#LOGIN") => &export["second_steps_end_at"][0],
            _ if item["pk"]["S"].as_str().unwrap().starts_with("LIMIT#messages-phone#") => &export["messages_today"],
            _ => &Value::Null,
        };
        assert!(!place.is_null(), "{sort} is not told");
        told.push(sort.to_owned());
    }
    let to_new = export["codes"].as_array().unwrap().iter().find(|code| code["purpose"] == "change-phone").unwrap();
    assert_eq!(to_new["phone"], "+201112345678");
    assert!(told.len() >= 9, "{told:?}");
}

#[tokio::test]
async fn it_is_about_the_caller_alone() {
    let world = World::new().with_account().await;
    world.register(OTHER_PHONE, PASSWORD).await.expect(201);
    let other = world.login(OTHER_PHONE, PASSWORD).await.expect(200).text("access_token").to_owned();
    // Somebody else asks for a code to our number.
    world.change_phone(&other, PASSWORD, PHONE).await.expect(202);
    let export = world.export(&world.token(PASSWORD).await).await.expect(200).body;
    assert_eq!((&export["codes"], export["sessions"].as_array().unwrap().len()), (&json!([]), 1));
    let other_user = world.me(&other).await.expect(200).text("id").to_owned();
    assert!(!export.to_string().contains(&other_user));
    assert_eq!(export["second_factor"], Value::Null);
}
