//! What no endpoint may choke on: every answer is a problem of the 400s.

use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, Request, TEMPLATE, World};

/// Every route that requires a body, by the OpenAPI description.
fn body_routes() -> Vec<(Method, String)> {
    let description: Value = serde_json::from_str(docs::description()).unwrap();
    let mut routes = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for method in [Method::POST, Method::DELETE] {
            if operations[method.as_str().to_lowercase()]["requestBody"]["required"] == true {
                routes.push((method, path.clone()));
            }
        }
    }
    assert_eq!(routes.len(), 26);
    routes
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused_everywhere() {
    let person = World::new().signed_in_person().await;
    let deep = format!("{{\"phone\": {}", "[".repeat(10_000));
    let large = json!({"phone": PHONE, "password": "x".repeat(40_000)}).to_string();
    let nested = json!({"phone": {"a": 1}, "password": [[[]]], "otp": {}, "old_password": [], "new_password": {}});
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("application/json", b"".to_vec(), 400, "malformed-request"),
        ("application/json", b"phone=1".to_vec(), 400, "malformed-request"),
        ("application/json", b"{\"phone\": \"010".to_vec(), 400, "malformed-request"),
        ("application/json", b"{\"phone\": \"\xff\xfe\"}".to_vec(), 400, "malformed-request"),
        ("application/json", br#"{"phone": "01012345678", "phone": "01112345678"}"#.to_vec(), 400, "malformed-request"),
        // In what no endpoint reads, too: a proxy in front may read the one, and we the other.
        ("application/json", br#"{"other": [{"phone": "1", "\u0070hone": "2"}]}"#.to_vec(), 400, "malformed-request"),
        ("application/json", deep.into_bytes(), 400, "malformed-request"),
        ("application/json", large.into_bytes(), 413, "body-too-large"),
        ("application/json", b"[]".to_vec(), 422, "invalid-request"),
        ("application/json", b"null".to_vec(), 422, "invalid-request"),
        ("application/json", nested.to_string().into_bytes(), 422, "invalid-request"),
        ("text/plain", b"{}".to_vec(), 415, "unsupported-media-type"),
        ("application/x-www-form-urlencoded", b"phone=01012345678".to_vec(), 415, "unsupported-media-type"),
    ];
    for (method, path) in body_routes() {
        for (content_type, body, status, code) in &cases {
            let request = Request::new(method.clone(), &path).body(content_type, body);
            let reply = person.send(request).await;
            if path == "/auth/revoke" && content_type.ends_with("form-urlencoded") {
                // RFC 7009 has clients send a form there, and there alone.
                reply.expect_fields(&["/token"]);
            } else {
                reply.expect_problem(*status, code);
            }
        }
        let without_body = person.send(Request::new(method, &path)).await.expect_problem(400, "malformed-request");
        assert!(without_body.text("detail").contains("empty"));
    }
}

/// Clients and proxies write the same request in other ways.
#[tokio::test]
async fn a_request_that_means_json_is_read_however_it_is_written() {
    let person = World::new().person().await;
    let body = json!({"phone": PHONE, "password": PASSWORD}).to_string();
    let with_mark = format!("\u{feff}{body}");
    let post = |content_types: &[&str], body: &str| {
        let request = Request::new(Method::POST, "/auth/login").body(content_types[0], body.as_bytes());
        content_types[1..].iter().fold(request, |request, value| request.another_header("content-type", value))
    };
    let json = "application/json";
    for content_types in [
        &[json][..],
        &[json, json],
        &["application/json, application/json"],
        &["application/json; charset=utf-8", "Application/JSON;charset=UTF-8"],
        &["application/json,application/json,application/json"],
        &["application/ld+json; profile=\"http://x/y,z\""],
    ] {
        for body in [&body, &with_mark] {
            let reply = person.send(post(content_types, body)).await;
            assert_eq!(reply.status, 200, "{content_types:?}");
        }
    }
    for encodings in [&["identity"][..], &["Identity"], &["identity, identity"], &["identity", "identity"], &[""]] {
        let request = encodings
            .iter()
            .fold(post(&[json], &body), |request, value| request.another_header("content-encoding", value));
        assert_eq!(person.send(request).await.status, 200, "{encodings:?}");
    }
}

#[tokio::test]
async fn a_request_that_may_mean_something_else_is_refused() {
    let person = World::new().person().await;
    let body = json!({"phone": PHONE, "password": PASSWORD}).to_string();
    let post = |body: &[u8]| Request::new(Method::POST, "/auth/login").body("application/json", body);
    for content_type in ["text/plain", "application/json, text/plain", "text/vnd.api+json", "", ","] {
        let request = Request::new(Method::POST, "/auth/login").body(content_type, body.as_bytes());
        let reply = person.send(request).await;
        assert_eq!((reply.status, reply.code()), (415, "unsupported-media-type"), "{content_type:?}");
    }
    let two = post(body.as_bytes()).another_header("content-type", "text/plain");
    person.send(two).await.expect_problem(415, "unsupported-media-type");
    for encoding in ["gzip", "br", "identity, gzip", "gzip, identity", "x-identity"] {
        let request = post(body.as_bytes()).header("content-encoding", encoding);
        let reply = person.send(request).await;
        assert_eq!((reply.status, reply.code()), (415, "unsupported-media-type"), "{encoding:?}");
    }
    let utf_16: Vec<u8> = format!("\u{feff}{body}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let two_marks = format!("\u{feff}\u{feff}{body}").into_bytes();
    for body in [utf_16, two_marks, "\u{feff}".into(), format!(" \u{feff}{body}").into_bytes()] {
        person.send(post(&body)).await.expect_problem(400, "malformed-request");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems_too() {
    let world = World::new();
    for path in ["/", "/auth", "/auth/", "/auth/login/", "/auth/nothing", "//auth/login", "/Auth/Login"] {
        world.get(path).await.expect_problem(404, "not-found");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE, Method::OPTIONS] {
        let reply = world.send(Request::new(method, "/auth/login")).await.expect_problem(405, "method-not-allowed");
        assert_eq!(reply.header("allow"), Some("POST"));
        assert_eq!(reply.function.as_deref(), Some("unmatched"));
    }
}

/// RFC 9110 section 9.3.2: HEAD is GET without the content, which the layer in front of a function leaves out.
#[tokio::test]
async fn head_is_answered_as_get_is() {
    let person = World::new().signed_in_person().await;
    for route in TEMPLATE.functions.iter().flat_map(|function| &function.routes).filter(|route| route.method == "GET") {
        let path = route.path.replace("{file}", "start.js");
        let get = person.send(Request::new(Method::GET, &path)).await;
        let head = person.send(Request::new(Method::HEAD, &path)).await;
        assert_eq!((head.status, head.function), (get.status, get.function), "{path}");
        assert_eq!(head.headers.get("content-type"), get.headers.get("content-type"), "{path}");
    }
}

/// What clients of other systems send first.
#[tokio::test]
async fn a_client_that_has_another_habit_is_told_what_to_do() {
    let person = World::new().signed_in_person().await;
    let with = |value: &str| Request::new(Method::GET, "/auth/me").header("authorization", value);
    for habit in
        [person.access_token(), format!("Token {}", person.access_token()), format!("JWT {}", person.access_token())]
    {
        let reply = person.on_another_device().send(with(&habit)).await.expect_problem(401, "invalid-token");
        assert!(reply.text("detail").contains("`Authorization: Bearer …`"));
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
    let form = Request::new(Method::POST, "/auth/login");
    let form = form.body("application/x-www-form-urlencoded", b"grant_type=password&username=01012345678&password=x");
    let reply = person.send(form).await.expect_problem(415, "unsupported-media-type");
    assert!(reply.text("detail").contains("application/json"));
    let reply = person.send(Request::new(Method::POST, "/auth/login/")).await.expect_problem(404, "not-found");
    assert!(reply.text("detail").contains("ends with a slash"));
}

#[tokio::test]
async fn strange_headers_are_harmless() {
    let person = World::new().person().await;
    let strange = person.with_header("user-agent", &"long ".repeat(1000)).with_header("cookie", "a=b; c=d; ;;=");
    strange.with_header("authorization", "Bearer").login().await.expect(200);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_body_makes_any_endpoint_fail(
        phone in prop_oneof!["\\PC{0,30}", Just(PHONE.to_owned())],
        other in prop_oneof!["\\PC{0,200}".prop_map(|text| json!(text)), any::<i64>().prop_map(|n| json!(n))],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let person = World::new().signed_in_person().await;
            let body = json!({
                "phone": phone, "password": other, "otp": other, "old_password": other, "new_password": other,
                "activation_id": other, "code": other, "recovery_code": other, "mfa_token": other, "token": other,
            });
            for (method, path) in body_routes() {
                let status = person.send(Request::post(&path, body.clone()).method(method)).await.status;
                let is_success = status == if path == "/auth/revoke" { 200 } else { 202 };
                assert!((400..500).contains(&status) || is_success, "{path}: {status}");
            }
        });
    }
}

/// Who sees the sentence alone, such as in a terminal or a log, learns what to mend.
#[tokio::test]
async fn the_sentence_for_people_names_the_wrong_fields() {
    let world = World::new();
    let reply = world.post("/auth/register", json!({"phone": 5})).await.expect_problem(422, "invalid-request");
    let (detail, errors) = (reply.text("detail"), reply.body["errors"].as_array().unwrap());
    assert_eq!(errors.len(), 2);
    for error in errors {
        let name = error["pointer"].as_str().unwrap().trim_start_matches('/');
        assert!(detail.contains(&format!("`{name}` {}.", error["detail"].as_str().unwrap())), "{detail}");
    }
    let body = json!({"challenge": 1, "otp": 1, "code": 1, "new_password": 1, "sign_in": 1});
    let reply = world.post("/auth/verify-reset", body).await.expect_problem(422, "invalid-request");
    assert!(reply.text("detail").ends_with("`errors` has more."));
}

/// Forms and generated clients send a text for every member, an empty one for those that were left out.
#[tokio::test]
async fn an_empty_text_of_a_member_that_may_be_absent_is_absent() {
    let both = json!({"code": "", "recovery_code": ""});
    let world = World::new();
    let person = world.signed_in_person().await;
    person.verify_own_phone().await;
    person.with_members(&both).change_phone(OTHER_PHONE).await.expect(202);
    person.with_members(&both).mfa_enroll().await.expect(200);
    person.with_members(&json!({"attempt": ""})).refresh().await.expect(200);
    person.with_members(&json!({"device_token": ""})).login().await.expect(200);
    let code = person.reset_code().await;
    let members = json!({"code": "", "recovery_code": "", "challenge": "", "sign_in": ""});
    person.with_members(&members).verify_reset(&code, RESET_PASSWORD).await.expect(204);
    person.sign_in().await;
    person.with_members(&both).change_password(NEW_PASSWORD).await.expect(200);
    let first_factor = json!({"challenge": "", "otp": "", "code": "", "recovery_code": ""});
    person.with_members(&first_factor).step_up().await.expect(200);
    // Those that must be there are there, and wrong.
    let reply = person.typing("").login().await.expect_fields(&["/password"]);
    assert!(!reply.text("detail").contains("is required"), "{}", reply.text("detail"));
    person.verify_reset("", RESET_PASSWORD).await.expect_fields(&["/otp"]);
    person.typing("").delete_account().await.expect_fields(&["/password"]);
    person.with_members(&both).delete_account().await.expect(204);

    let person = world.person_with_factor().await;
    person.first_step().await;
    let others = json!({"recovery_code": "", "password": ""});
    let reply = person.with_proof("code", "").with_members(&others).login_mfa().await.expect_fields(&["/code"]);
    assert!(reply.text("detail").contains("is required, or `recovery_code`"), "{}", reply.text("detail"));
    let recovery_code = person.with_recovery_code(0);
    recovery_code.with_members(&json!({"code": "", "password": ""})).login_mfa().await.expect(200);
    person.first_step().await;
    person.with_code().with_members(&json!({"recovery_code": ""})).login_mfa().await.expect(200);
}
