//! `POST /auth/revoke`: RFC 7009.

use std::collections::BTreeSet;

use http::Method;
use local::emulator::Fault;
use serde_json::{Value, json};

use crate::harness::{OTHER_PHONE, Person, Reply, Request, World};

const PATH: &str = "/auth/revoke";
const FORM: &str = "application/x-www-form-urlencoded";

/// Revokes as a client of OAuth does: by a form.
async fn by_form(world: &World, form: &str) -> Reply {
    world.send(Request::new(Method::POST, PATH).body(FORM, form.as_bytes())).await
}

impl Person {
    /// Checks that every token of the device's session is dead.
    async fn expect_signed_out(&self) {
        self.me().await.expect_problem(401, "invalid-token");
        self.refresh().await.expect_problem(401, "invalid-token");
    }
}

#[tokio::test]
async fn a_refresh_token_or_an_access_token_ends_its_session_and_no_other() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let laptop = person.on_another_device();
    laptop.sign_in().await;
    let reply = laptop.revoke(&laptop.refresh_token()).await.expect(200);
    assert!(reply.bytes.is_empty());
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    laptop.expect_signed_out().await;

    laptop.sign_in().await;
    laptop.revoke(&laptop.access_token()).await.expect(200);
    laptop.expect_signed_out().await;

    // The token alone is the proof: a stranger who holds it may end its session, and gets nothing by it.
    laptop.sign_in().await;
    world.visitor(OTHER_PHONE).revoke(&laptop.refresh_token()).await.expect(200);
    laptop.expect_signed_out().await;
    person.me().await.expect(200);
    person.refresh().await.expect(200);
}

#[tokio::test]
async fn a_client_of_oauth_sends_a_form() {
    let world = World::new();
    let person = world.signed_in_person().await;
    for hint in ["", "&token_type_hint=refresh_token", "&token_type_hint=access_token", "&token_type_hint=saml&x=y"] {
        for token in ["refresh", "access"] {
            person.sign_in().await;
            let token = if token == "refresh" { person.refresh_token() } else { person.access_token() };
            by_form(&world, &format!("client_id=app&token={token}{hint}")).await.expect(200);
            person.expect_signed_out().await;
        }
    }
    // With a charset, twice, as proxies do; and as JSON with the same members.
    person.sign_in().await;
    let request = Request::new(Method::POST, PATH).body(
        "application/x-www-form-urlencoded; charset=UTF-8",
        format!("token={}", person.refresh_token()).as_bytes(),
    );
    world.send(request.another_header("content-type", FORM)).await.expect(200);
    person.expect_signed_out().await;
    person.sign_in().await;
    let body = json!({
        "token": person.refresh_token(), "token_type_hint": "access_token", "client_id": "app", "client_secret": "none",
    });
    world.post(PATH, body).await.expect(200);
    person.expect_signed_out().await;
}

#[tokio::test]
async fn an_expired_and_a_spent_token_still_end_their_session() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let earlier = person.with_copied_tokens();
    person.refresh().await.expect(200);
    world.advance(7200);
    earlier.revoke(&earlier.access_token()).await.expect(200);
    person.refresh().await.expect_problem(401, "invalid-token");

    person.sign_in().await;
    let earlier = person.with_copied_tokens();
    person.refresh().await.expect(200);
    world.advance(3600);
    earlier.revoke(&earlier.refresh_token()).await.expect(200);
    person.expect_signed_out().await;
}

/// What cannot be revoked is answered like what was (RFC 7009 section 2.2).
#[tokio::test]
async fn the_answer_tells_nothing_about_a_token() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    let person = world.person_with_factor().await;
    let other = World::new().signed_in_person().await;
    let newcomer = world.visitor(OTHER_PHONE);
    newcomer.register().await.expect(202);
    person.on_another_device().first_step().await;
    person.first_step().await;

    let live = person.with_copied_tokens();
    let (access, refresh) = (live.access_token(), live.refresh_token());
    let expected = live.revoke(&refresh).await.expect(200).fingerprint();
    let flip = |token: &str| {
        let (start, end) = token.split_at(token.len() / 2);
        format!("{start}{}{}", if end.starts_with('A') { "B" } else { "A" }, &end[1..])
    };
    let tokens = [
        // Dead, twice.
        refresh.clone(),
        access.clone(),
        // Altered, cut, and longer.
        flip(&refresh),
        flip(&access),
        refresh[1..].to_owned(),
        access[..access.len() - 1].to_owned(),
        format!("{access}.x"),
        // Those of another service, and of other kinds.
        other.refresh_token(),
        other.access_token(),
        person.mfa_token(),
        newcomer.activation_id(),
        // None at all.
        "..".to_owned(),
        "x".repeat(10_000),
        "\u{0}ü🔑".to_owned(),
        " ".to_owned(),
    ];
    world.calls();
    for (at, token) in tokens.iter().enumerate() {
        let reply = person.revoke(token).await;
        assert!(reply.fingerprint() == expected, "{at}: {}", reply.status);
    }
    // A second step that began before goes on.
    person.login_mfa().await.expect(200);
    other.me().await.expect(200);
}

#[tokio::test]
async fn a_request_without_a_token_is_refused() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.post(PATH, json!({})).await.expect_fields(&["/token"]);
    world.post(PATH, json!({"token": 1, "token_type_hint": 2})).await.expect_fields(&["/token", "/token_type_hint"]);
    for form in ["token=", "client_id=app", "token_type_hint=refresh_token&Token=x"] {
        by_form(&world, form).await.expect_fields(&["/token"]);
    }
    let token = person.refresh_token();
    for form in
        [format!("token={token}&token={token}"), format!("token={token}&client_id=a&client_id=b"), String::new()]
    {
        by_form(&world, &form).await.expect_problem(400, "malformed-request");
    }
    by_form(&world, &format!("token={token}&x={}", "x".repeat(16_384))).await.expect_problem(413, "body-too-large");
    for content_type in ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded, text/plain"] {
        let request = Request::new(Method::POST, PATH).body(content_type, format!("token={token}").as_bytes());
        world.send(request).await.expect_problem(415, "unsupported-media-type");
    }
    // A token is no secret that belongs into a URL, and one in a header is not what was asked for.
    let in_url = Request::post(&format!("{PATH}?token={token}"), json!({}));
    world.send(in_url).await.expect_fields(&["/token"]);
    person.post(PATH, json!({})).await.expect_fields(&["/token"]);
    person.me().await.expect(200);
}

/// CVE-2020-15223: no success where nothing was revoked.
#[tokio::test(start_paused = true)]
async fn while_the_table_fails_nothing_is_promised_and_the_token_lives() {
    let world = World::new();
    let person = world.signed_in_person().await;
    for token in [person.refresh_token(), person.access_token()] {
        for fault in [Fault::Hang, Fault::LostRequest, Fault::Error("InternalServerError")] {
            world.emulator.faults().inject("DeleteItem", fault, 1000);
            person.revoke(&token).await.expect_problem(503, "temporarily-unavailable");
            world.emulator.faults().clear();
            person.me().await.expect(200);
        }
    }
    // Nor where it cannot be known whose the token is.
    let cold = World::new();
    let token = cold.signed_in_person().await.refresh_token();
    cold.emulator.faults().inject("GetSecretValue", Fault::LostRequest, 1000);
    cold.visitor(OTHER_PHONE).revoke(&token).await.expect_problem(503, "temporarily-unavailable");
}

#[tokio::test]
async fn the_audit_log_tells_whose_session_was_revoked() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let id = person.me().await.expect(200).text("id").to_owned();
    let token = person.refresh_token();
    let audited = async |token: &str| -> Value {
        world.audit_log.take();
        person.revoke(token).await.expect(200);
        let mut lines = world.audit_log.take();
        assert_eq!(lines.len(), 1);
        lines.remove(0)
    };
    let line = audited(&token).await;
    assert_eq!((&line["event"], &line["result"], &line["user"]), (&json!("revoke"), &json!("success"), &json!(id)));
    assert!(line["session"].is_string() && line["reason"].is_null());
    assert_eq!(line["factors"], json!(["refresh-token"]));
    for text in ["none of ours", "a.b.c"] {
        let line = audited(text).await;
        assert_eq!((&line["result"], &line["reason"]), (&json!("success"), &json!("forged")));
        assert!(line["user"].is_null() && line["session"].is_null());
    }
}

/// Of a refresh and a revocation at once, either order leaves the session dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_8_refreshes_and_8_revocations_the_revocations_win() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let requests = (0..16).map(|at| {
        let person = person.with_copied_tokens();
        tokio::spawn(async move {
            let reply = if at % 2 == 0 { person.refresh().await } else { person.revoke(&person.refresh_token()).await };
            (reply.status, person)
        })
    });
    let mut seen = BTreeSet::new();
    for (at, ended) in futures_util::future::join_all(requests.collect::<Vec<_>>()).await.into_iter().enumerate() {
        let (status, device) = ended.unwrap();
        assert!(status == 200 || (at % 2 == 0 && status == 401), "{at}: {status}");
        seen.insert(status);
        device.expect_signed_out().await;
    }
    assert!(seen.contains(&200));
    assert_eq!(world.sessions().len(), 0);
}
