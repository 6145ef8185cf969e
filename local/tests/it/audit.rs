//! The audit log, as `docs/audit.md` describes it.

use std::collections::BTreeSet;

use admin::users::Action;
use http::Method;
use serde_json::{Value, json};

use crate::{
    admin::act,
    harness::{PASSWORD, PHONE, RESET_PASSWORD, Request, TEMPLATE, World, another_code, file},
};

impl World {
    /// The one line that was written since the last look.
    #[track_caller]
    fn audited(&self) -> Value {
        let mut lines = self.audit_log.take();
        assert_eq!(lines.len(), 1, "one request, one line");
        lines.remove(0)
    }
}

/// Checks event, result, reason and factors of a line.
#[track_caller]
fn check(line: &Value, event: &str, result: &str, reason: Option<&str>, factors: &[&str]) {
    let found = (&line["event"], &line["result"], &line["reason"], &line["factors"]);
    assert_eq!(found, (&json!(event), &json!(result), &json!(reason), &json!(factors)));
}

#[tokio::test]
async fn every_endpoint_about_accounts_writes_one_line_and_no_other_does() {
    let world = World::new();
    for function in &TEMPLATE.functions {
        for route in &function.routes {
            let path = route.path.replace("{id}", "1").replace("{file}", "start.js");
            let request = Request::new(route.method.parse().unwrap(), &path);
            let reply = world.send(request.body("application/json", b"{}")).await;
            if route.path.starts_with("/auth/") {
                let line = world.audited();
                assert_eq!((&line["event"], &line["result"]), (&json!(function.name), &json!(reply.code())));
                assert_eq!(line["request_id"], reply.text("instance"));
            } else {
                assert!(world.audit_log.take().is_empty(), "{}", route.path);
            }
        }
    }
}

#[tokio::test]
async fn a_session_can_be_followed_from_its_login_to_its_end() {
    let world = World::new().with_account().await;
    let registered = world.audited();
    check(&registered, "register", "success", None, &[]);
    let user = registered["user"].as_str().unwrap().to_owned();
    world.login(PHONE, "wrong password").await.expect(401);
    let wrong = world.audited();
    check(&wrong, "login", "invalid-credentials", None, &["password"]);
    assert_eq!((wrong["user"].as_str(), &wrong["session"]), (Some(user.as_str()), &Value::Null));

    let (token, refresh_token) = world.tokens(PASSWORD).await;
    let login = world.audited();
    check(&login, "login", "success", None, &["password"]);
    assert_eq!((&login["phone"], &login["address"]), (&wrong["phone"], &json!("203.0.113.7")));
    assert_eq!(login["phone"].as_str().unwrap().len(), 22);
    let of_session = |line: &Value| (line["user"].clone(), line["session"].clone());

    world.me(&token).await.expect(200);
    let me = world.audited();
    check(&me, "me", "success", None, &[]);
    assert_eq!(of_session(&me), of_session(&login));
    world.refresh(&refresh_token).await.expect(200);
    let refreshed = world.audited();
    check(&refreshed, "refresh", "success", None, &["refresh-token"]);
    assert_eq!(of_session(&refreshed), of_session(&login));
    world.advance(60);
    world.refresh(&refresh_token).await.expect(401);
    check(&world.audited(), "refresh", "invalid-token", Some("reused"), &["refresh-token"]);
    world.me(&token).await.expect(401);
    let dead = world.audited();
    check(&dead, "me", "invalid-token", Some("session-ended"), &[]);
    assert_eq!(of_session(&dead), of_session(&login), "who asked is known");

    world.me("a.b.c").await.expect(401);
    let forged = world.audited();
    check(&forged, "me", "invalid-token", Some("forged"), &[]);
    assert_eq!(of_session(&forged), (Value::Null, Value::Null));
}

#[tokio::test]
async fn each_proof_is_named() {
    let world = World::new().with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let lines = world.audit_log.take();
    let events: Vec<_> = lines.iter().map(|line| (line["event"].as_str().unwrap(), &line["factors"])).collect();
    let expected = [
        ("register", &json!([])),
        ("login", &json!(["password"])),
        ("verify-phone", &json!([])),
        ("verify-phone-confirm", &json!(["otp"])),
        ("mfa-enroll", &json!(["password"])),
        ("mfa-confirm", &json!(["totp"])),
    ];
    assert_eq!(events, expected);

    let mfa_token = world.mfa_token(PASSWORD).await;
    check(&world.audited(), "login", "mfa-required", None, &["password"]);
    let code = factor.code(&world);
    world.login_mfa(&mfa_token, ("code", &another_code(&code))).await.expect(400);
    check(&world.audited(), "login-mfa", "invalid-otp", None, &["totp"]);
    world.login_mfa(&mfa_token, ("recovery_code", &factor.recovery_codes[0])).await.expect(200);
    check(&world.audited(), "login-mfa", "success", None, &["recovery-code"]);
    world.login_mfa(&mfa_token, ("code", &code)).await.expect(401);
    check(&world.audited(), "login-mfa", "invalid-token", Some("login-over"), &[]);
    let otp = world.code(PHONE).await;
    let asked = world.audited();
    check(&asked, "request-reset", "success", None, &[]);
    assert!(asked["user"].is_string() && asked["phone"].is_string());
    let body = json!({"phone": PHONE, "otp": otp, "new_password": RESET_PASSWORD, "code": code});
    world.post("/auth/verify-reset", body).await.expect(204);
    check(&world.audited(), "verify-reset", "success", None, &["otp", "totp"]);
}

#[tokio::test]
async fn a_throttled_guess_names_its_bucket_and_an_unknown_phone_nobody() {
    let world = World::new();
    for _ in 0..6 {
        world.login(PHONE, "wrong password").await.expect(401);
    }
    world.audit_log.take();
    world.login(PHONE, "wrong password").await.expect(429);
    let line = world.audited();
    check(&line, "login", "too-many-requests", Some("login-phone"), &[]);
    assert_eq!((&line["user"], line["phone"].is_string()), (&Value::Null, true));
}

#[tokio::test]
async fn the_authorizer_writes_what_it_judges() {
    let world = World::new().with_account().await;
    let token = world.token(PASSWORD).await;
    world.audit_log.take();
    let event = |token: &str| {
        json!({
            "headers": {"authorization": format!("Bearer {token}")},
            "requestContext": {"http": {"sourceIp": "203.0.113.9"}},
        })
    };
    world.invoke("authorizer", event(&token)).await.unwrap();
    let line = world.audited();
    check(&line, "authorizer", "success", None, &[]);
    assert_eq!(line["address"], "203.0.113.9");
    world.bearer(Method::POST, "/auth/logout", &token).await.expect(204);
    world.audit_log.take();
    world.invoke("authorizer", event(&token)).await.unwrap();
    check(&world.audited(), "authorizer", "invalid-token", Some("session-ended"), &[]);
}

/// The schema is what is documented: neither more nor less.
#[tokio::test]
async fn every_member_is_documented() {
    let world = World::new().with_account().await;
    world.switch_factor_on(PASSWORD).await;
    world.me("none").await.expect(401);
    let mut lines = world.audit_log.take();
    lines.extend(act(&world, Action::Show, PHONE).await.1);
    let written: BTreeSet<_> = lines.iter().flat_map(|line| line.as_object().unwrap().keys().cloned()).collect();
    let documented: BTreeSet<_> = file("docs/audit.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(written, documented);
}
