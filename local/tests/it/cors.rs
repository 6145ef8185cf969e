//! Pages of other origins: what a browser may send, and what a page may read (docs/adr/0032).

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;

use crate::harness::{PASSWORD, PHONE, Reply, Request, TEMPLATE, World};

const PAGE: &str = "https://app.example.com";
const PREVIEW: &str = "https://pr-17.preview.example.com";
const STRANGER: &str = "https://evil.example";

fn world() -> World {
    World::with(&[("ALLOWED_ORIGINS", "https://app.example.com, https://*.preview.example.com")])
}

/// A browser's question before a request of this page.
async fn preflight(world: &World, method: &str, path: &str, origin: &str) -> Reply {
    let request = Request::new(Method::OPTIONS, path).header("origin", origin);
    let request = request.header("access-control-request-method", method);
    world.send(request.header("access-control-request-headers", "authorization,content-type")).await
}

/// Checks that the page may read the response, its problem included.
#[track_caller]
fn check_readable(reply: &Reply, origin: &str) {
    assert_eq!(reply.header("access-control-allow-origin"), Some(origin), "{}", reply.code());
    assert_eq!(reply.header("access-control-expose-headers"), Some("Retry-After, WWW-Authenticate"));
    assert!(varies_by_origin(reply));
    // Tokens are sent in a header, and there are no cookies.
    assert_eq!(reply.header("access-control-allow-credentials"), None);
}

#[track_caller]
fn check_unreadable(reply: &Reply) {
    let names: Vec<_> = reply.headers.keys().filter(|name| name.as_str().starts_with("access-control-")).collect();
    assert!(names.is_empty(), "{names:?}");
}

fn varies_by_origin(reply: &Reply) -> bool {
    reply.header("vary").is_some_and(|names| names.split(", ").any(|name| name == "origin"))
}

#[tokio::test]
async fn a_preflight_is_answered_for_every_route_and_method() {
    let world = world();
    for route in TEMPLATE.functions.iter().flat_map(|function| &function.routes) {
        let path = route.path.replace("{id}", "1").replace("{file}", "start.js");
        for origin in [PAGE, PREVIEW] {
            let reply = preflight(&world, &route.method, &path, origin).await;
            assert_eq!((reply.status, reply.function.as_deref()), (204, Some("unmatched")), "{route:?}");
            check_readable(&reply, origin);
            let methods: BTreeSet<_> = reply.header("access-control-allow-methods").unwrap().split(", ").collect();
            assert!(methods.contains(route.method.as_str()), "{route:?}: {methods:?}");
            assert_eq!(
                reply.header("access-control-allow-headers"),
                Some("attestation, authorization, content-type, proof-of-work")
            );
            assert_eq!(reply.header("access-control-max-age"), Some("7200"));
        }
        let refused = preflight(&world, &route.method, &path, STRANGER).await;
        let refused = refused.expect_problem(405, "method-not-allowed");
        check_unreadable(&refused);
        assert!(varies_by_origin(&refused));
    }
    // The page may ask for what does not exist, and read that it does not.
    for (method, path) in [("POST", "/auth/nothing"), ("PUT", "/auth/login"), ("DELETE", "/auth/login")] {
        let reply = preflight(&world, method, path, PAGE).await;
        assert!(reply.status == 204 && reply.header("access-control-allow-methods").unwrap().contains(method));
    }
    // What asks for no method is no preflight.
    let options = world.send(Request::new(Method::OPTIONS, "/auth/me").header("origin", PAGE)).await;
    let options = options.expect_problem(405, "method-not-allowed");
    check_readable(&options, PAGE);
    assert_eq!(options.header("allow"), Some("GET, HEAD, DELETE"));
}

#[tokio::test]
async fn a_page_signs_in_refreshes_and_reads_the_account() {
    let person = world().visitor(PHONE);
    let person = person.with_header("origin", PREVIEW);
    let registered = person.register().await;
    check_readable(&registered.expect(201), PREVIEW);
    for reply in [person.login().await, person.refresh().await, person.me().await] {
        check_readable(&reply.expect(200), PREVIEW);
    }
    check_readable(&person.logout().await.expect(204), PREVIEW);
    check_readable(&person.me().await.expect_problem(401, "invalid-token"), PREVIEW);
}

#[tokio::test]
async fn a_page_reads_every_problem_and_when_to_try_again() {
    let world = world();
    let send = |method, path: &str| Request::new(method, path).header("origin", PAGE);
    let account = json!({"phone": PHONE, "password": PASSWORD}).to_string();
    let login = |body: &str| send(Method::POST, "/auth/login").body("application/json", body.as_bytes());
    check_readable(&world.send(login("{")).await.expect_problem(400, "malformed-request"), PAGE);
    check_readable(&world.send(login("{}")).await.expect_problem(422, "invalid-request"), PAGE);
    check_readable(&world.send(login(&" ".repeat(20_000))).await.expect_problem(413, "body-too-large"), PAGE);
    let form = send(Method::POST, "/auth/login").body("application/x-www-form-urlencoded", b"username=a");
    check_readable(&world.send(form).await.expect_problem(415, "unsupported-media-type"), PAGE);
    check_readable(&world.send(send(Method::PUT, "/auth/login")).await.expect_problem(405, "method-not-allowed"), PAGE);
    check_readable(&world.send(send(Method::GET, "/auth/login/")).await.expect_problem(404, "not-found"), PAGE);
    check_readable(&world.send(send(Method::GET, "/health")).await.expect(200), PAGE);
    let document = world.send(send(Method::GET, "/openapi.json")).await;
    let document = document.expect(200);
    check_readable(&document, PAGE);
    // In one line, because Lambda sends one value of each header.
    assert_eq!(document.header("vary"), Some("accept-encoding, origin"));

    let mut last = world.send(login(&account)).await;
    while last.status == 401 {
        check_readable(&last, PAGE);
        last = world.send(login(&account)).await;
    }
    let last = last.expect_problem(429, "too-many-requests");
    check_readable(&last, PAGE);
    assert_eq!(last.body["retry_after"].to_string(), last.header("retry-after").unwrap());
}

#[tokio::test]
async fn other_pages_and_strange_origins_read_nothing() {
    let world = world();
    for origin in [
        STRANGER,
        "null",
        "",
        "https://preview.example.com",
        "https://a.b.preview.example.com",
        "http://localhost:3000",
    ] {
        let reply = world.send(Request::new(Method::GET, "/health").header("origin", origin)).await;
        check_unreadable(&reply);
        assert!(varies_by_origin(&reply));
    }
    let two = Request::new(Method::GET, "/health").header("origin", PAGE).another_header("origin", STRANGER);
    check_unreadable(&world.send(two).await.expect(200));
    let reply = world.get("/health").await;
    check_unreadable(&reply);
    assert!(varies_by_origin(&reply), "a cache must not give this to a page");
}

#[tokio::test]
async fn without_the_setting_there_is_no_cors() {
    let world = World::new();
    check_unreadable(&preflight(&world, "POST", "/auth/login", PAGE).await.expect_problem(405, "method-not-allowed"));
    let reply = world.send(Request::new(Method::GET, "/health").header("origin", PAGE)).await;
    check_unreadable(&reply);
    assert!(!varies_by_origin(&reply));
}

/// The template passes on what it is deployed with, and leaves CORS to the functions: API Gateway would drop their
/// headers if it had a configuration of its own.
#[test]
fn the_template_leaves_cors_to_the_functions() {
    let api = &TEMPLATE.source["Resources"]["HttpApi"]["Properties"];
    assert!(api.get("CorsConfiguration").is_none());
    for function in &TEMPLATE.functions {
        assert_eq!(function.environment["ALLOWED_ORIGINS"], "", "{}: none may by default", function.name);
    }
    let variable = &TEMPLATE.source["Globals"]["Function"]["Environment"]["Variables"]["ALLOWED_ORIGINS"];
    let serde_norway::Value::Tagged(reference) = variable else { panic!("it is a parameter") };
    assert_eq!((reference.tag.to_string().as_str(), reference.value.as_str()), ("!Ref", Some("AllowedOrigins")));
}
