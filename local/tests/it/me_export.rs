//! `GET /auth/me/export`

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{E164, OTHER_E164, OTHER_PHONE, PHONE, RESET_PASSWORD, World, another_code};

#[tokio::test]
async fn it_tells_everything_that_is_stored_but_secrets() {
    let world = World::new();
    let person = world.person_with_factor().await;
    person.first_step().await;
    person.with_wrong_code().login_mfa().await.expect(400);
    person.with_code().mfa_enroll().await.expect(200);
    let otp = person.reset_code().await;
    person.verify_reset(&another_code(&otp), RESET_PASSWORD).await.expect(400);
    person.mistyping().login().await.expect(401);

    let export = person.export().await.expect(200).body;
    let account = &export["account"];
    assert_eq!((&account["phone"], &account["mfa_enabled"]), (&json!(E164), &json!(true)));
    assert_eq!(export["sign_in_attempts"]["failures"], 1, "a wrong one, and none that waits for its second step");
    assert_eq!(export["second_factor"]["recovery_codes_left"], 10);
    assert_eq!(export["second_steps_end_at"].as_array().unwrap().len(), 1);
    assert!(export["enrollment_ends_at"].is_string());
    let sessions = export["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "one that the second factor replaced");
    assert_eq!(sessions.iter().filter(|session| session["second_factor"] == true).count(), 1);
    assert_eq!((&export["codes"][0]["purpose"], &export["codes"][0]["phone"]), (&json!("reset"), &json!(E164)));
    assert_eq!((&export["codes"][0]["attempts"], &export["codes"][0]["failures"]), (&json!(1), &json!(1)));
    assert_eq!(export["messages_today"], 3, "one verified the phone, one told of the second factor, one is the reset");
}

/// What is stored and not told is a secret, its hash, or how we keep our books: a new attribute has to be put in one of
/// these lists.
#[tokio::test]
async fn no_attribute_is_forgotten() {
    const TOLD: [&str; 32] = [
        "forgotten_at",
        "method",
        "passwordless",
        "proved_at",
        "address",
        "attempts",
        "authenticated_at",
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
        "phone_proved_at",
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
        "reset_resend_at",
        // Collected an hour or a day after the end that is told.
        "expires_at",
    ];
    const SECRETS: [&str; 15] = [
        "attempt",
        "challenge_id",
        "codes",
        "other_client",
        "password_hash",
        "recovery_key",
        "recovery_seed",
        "request",
        "rotated_by",
        "salt",
        "totp_secret",
        "totp_secret_before",
        "tried",
        "used",
        "used_effect",
    ];
    const BOOKS: [&str; 17] = [
        "attempts_end",
        "doubtful",
        "epoch",
        "generation",
        "kid",
        // Pseudonyms of phones, of an address that asked.
        "members",
        "sessions_at_most",
        "not_sent",
        "op",
        "open_challenges",
        "other_generation",
        "renewed",
        "request_ends_at",
        "reset_challenge_id",
        "successor",
        "totp_step",
        "used_ends_at",
    ];
    let world = World::new();
    let person = world.person_with_factor().await;
    person.first_step().await;
    person.reset_code().await;
    let (tab, other) = (person.with_copied_tokens(), person.with_copied_tokens().at("198.51.100.99"));
    tab.refresh().await.expect(200);
    other.refresh().await.expect(200);
    tab.with_attempt("a-random-value-of-a-client").refresh().await.expect(200);
    let newcomer = world.visitor("01512345678").without_password();
    newcomer.sign_in_by_code().await;
    newcomer.switch_factor_on().await;
    newcomer.post("/auth/step-up", serde_json::json!({"code": newcomer.authenticator().code()})).await.expect(200);
    let other = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    other.on_another_device().sign_in().await;
    other.end_session(&other.other_session().await).await.expect(204);
    let items = world.items("");
    let stored: BTreeSet<_> = items
        .iter()
        .filter(|item| {
            let partition = item["pk"]["S"].as_str().unwrap();
            // What belongs to nobody: the keys, and a country's codes.
            partition != "KEYS" && !partition.starts_with("LIMIT#codes-verified#")
        })
        .flat_map(|item| item.as_object().unwrap().keys().map(String::as_str))
        .collect();
    let known = [&TOLD[..], &SECRETS, &BOOKS].concat();
    let unknown: Vec<_> = stored.iter().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "neither told nor secret: {unknown:?}");
}

/// Every item that leads to the caller is told, or is kept without their name.
#[tokio::test]
async fn no_item_is_forgotten() {
    let world = World::new();
    let person = world.person_with_factor().await;
    person.first_step().await;
    person.with_code().mfa_enroll().await.expect(200);
    person.reset_code().await;
    world.advance(30);
    person.with_code().change_phone(OTHER_PHONE).await.expect(202);
    person.mistyping().login_as_known().await.expect(401);
    let export = person.export().await.expect(200).body;
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
            "DEVICE" => &export["known_devices"][0],
            "OTP" => {
                let codes = export["codes"].as_array().unwrap();
                let is_it = |code: &&Value| sort.starts_with(&format!("OTP#{}", code["purpose"].as_str().unwrap()));
                codes.iter().find(is_it).unwrap_or(&Value::Null)
            }
            _ if sort == "MFA" => &export["second_factor"],
            _ if sort == "MFA#ENROLLMENT" => &export["enrollment_ends_at"],
            _ if sort.starts_with("MFA#LOGIN") => &export["second_steps_end_at"][0],
            _ if item["pk"]["S"].as_str().unwrap().starts_with("LIMIT#messages-phone#") => &export["messages_today"],
            _ => &Value::Null,
        };
        assert!(!place.is_null(), "{sort} is not told");
        told.push(sort.to_owned());
    }
    let to_new = export["codes"].as_array().unwrap().iter().find(|code| code["purpose"] == "change-phone").unwrap();
    assert_eq!(to_new["phone"], OTHER_E164);
    assert!(told.len() >= 10, "{told:?}");
}

#[tokio::test]
async fn it_is_about_the_caller_alone() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let other = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    // Somebody else asks for a code to this person's number.
    other.change_phone(PHONE).await.expect(202);
    let export = person.export().await.expect(200).body;
    assert_eq!((&export["codes"], export["sessions"].as_array().unwrap().len()), (&json!([]), 1));
    let other_user = other.me().await.expect(200).text("id").to_owned();
    assert!(!export.to_string().contains(&other_user));
    assert_eq!(export["second_factor"], Value::Null);
}
