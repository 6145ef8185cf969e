//! The audit log, as `docs/audit.md` describes it.

use std::collections::BTreeSet;

use admin::users::Action;
use serde_json::{Value, json};

use crate::{
    admin::act,
    harness::{PHONE, RESET_PASSWORD, Request, TEMPLATE, World, file},
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
    let world = World::new();
    let person = world.person().await;
    let registered = world.audited();
    check(&registered, "register", "success", None, &[]);
    let user = registered["user"].as_str().unwrap().to_owned();
    person.mistyping().login().await.expect(401);
    let wrong = world.audited();
    check(&wrong, "login", "invalid-credentials", None, &["password"]);
    assert_eq!((wrong["user"].as_str(), &wrong["session"]), (Some(user.as_str()), &Value::Null));

    person.sign_in().await;
    let login = world.audited();
    check(&login, "login", "success", None, &["password"]);
    assert_eq!((&login["phone"], &login["address"]), (&wrong["phone"], &json!("203.0.113.7")));
    assert_eq!(login["phone"].as_str().unwrap().len(), 22);
    let of_session = |line: &Value| (line["user"].clone(), line["session"].clone());

    person.me().await.expect(200);
    let me = world.audited();
    check(&me, "me", "success", None, &[]);
    assert_eq!(of_session(&me), of_session(&login));
    let thief = person.with_copied_tokens();
    person.refresh().await.expect(200);
    let refreshed = world.audited();
    check(&refreshed, "refresh", "success", None, &["refresh-token"]);
    assert_eq!(of_session(&refreshed), of_session(&login));
    world.advance(60);
    thief.refresh().await.expect(401);
    check(&world.audited(), "refresh", "invalid-token", Some("reused"), &["refresh-token"]);
    thief.me().await.expect(401);
    let dead = world.audited();
    check(&dead, "me", "invalid-token", Some("session-ended"), &[]);
    assert_eq!(of_session(&dead), of_session(&login), "who asked is known");

    world.bearer("a.b.c").me().await.expect(401);
    let forged = world.audited();
    check(&forged, "me", "invalid-token", Some("forged"), &[]);
    assert_eq!(of_session(&forged), (Value::Null, Value::Null));
}

#[tokio::test]
async fn each_proof_is_named() {
    let world = World::new();
    let person = world.person_with_factor().await;
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

    person.first_step().await;
    check(&world.audited(), "login", "mfa-required", None, &["password"]);
    person.with_wrong_code().login_mfa().await.expect(400);
    check(&world.audited(), "login-mfa", "invalid-otp", None, &["totp"]);
    person.with_recovery_code(0).login_mfa().await.expect(200);
    check(&world.audited(), "login-mfa", "success", None, &["recovery-code"]);
    person.login_mfa().await.expect(401);
    check(&world.audited(), "login-mfa", "invalid-token", Some("login-over"), &[]);
    let otp = person.reset_code().await;
    let asked = world.audited();
    check(&asked, "request-reset", "success", None, &[]);
    assert!(asked["user"].is_string() && asked["phone"].is_string());
    person.with_code().verify_reset(&otp, RESET_PASSWORD).await.expect(204);
    check(&world.audited(), "verify-reset", "success", None, &["otp", "totp"]);
}

#[tokio::test]
async fn a_throttled_guess_names_its_bucket_and_an_unknown_phone_nobody() {
    let world = World::new();
    let guesser = world.visitor(PHONE).mistyping();
    for _ in 0..6 {
        guesser.login().await.expect(401);
    }
    world.audit_log.take();
    guesser.login().await.expect(429);
    let line = world.audited();
    check(&line, "login", "too-many-requests", Some("login-phone"), &[]);
    assert_eq!((&line["user"], line["phone"].is_string()), (&Value::Null, true));
}

#[tokio::test]
async fn the_authorizer_writes_what_it_judges() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.audit_log.take();
    let event = json!({
        "version": "2.0",
        "headers": {"authorization": format!("Bearer {}", person.access_token())},
        "requestContext": {"http": {"sourceIp": "203.0.113.9"}},
    });
    world.invoke("authorizer", event.clone()).await.unwrap();
    let line = world.audited();
    check(&line, "authorizer", "success", None, &[]);
    assert_eq!(line["address"], "203.0.113.9");
    person.logout().await.expect(204);
    world.audit_log.take();
    world.invoke("authorizer", event).await.unwrap();
    check(&world.audited(), "authorizer", "invalid-token", Some("session-ended"), &[]);
}

/// The schema is what is documented: neither more nor less.
#[tokio::test]
async fn every_member_is_documented() {
    let world = World::new();
    world.person_with_factor().await;
    world.bearer("none").me().await.expect(401);
    let newcomer = world.visitor(PHONE);
    newcomer.comes_back_late().await;
    newcomer.start_anew().await.expect(200);
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
