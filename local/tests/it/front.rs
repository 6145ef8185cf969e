//! A CDN or proxy in front of the API: whose word for a client's address counts (docs/adr/0049).

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;
use serde_norway::Value as Yaml;

use crate::harness::{PHONE, Person, Reply, Request, TEMPLATE, World, file};

/// The secrets of these tests' front. `printf %s SECRET | sha256sum` gives the hashes.
const SECRET: &str = "a-secret-of-the-front";
const HASH: &str = "15e1f4e5bea461dbfa73b9a3ad7f09f2f3e13e8047b400c349ae45102f1bf16f";
const NEXT_SECRET: &str = "the-next-secret";
const NEXT_HASH: &str = "b46d5035035642cce98592adcdbf02c779f25737f80593ea94fa5e56563fc8ca";

/// The address that the front itself calls from.
const FRONT: &str = "198.51.100.1";

fn world(more: &[(&str, &str)]) -> World {
    let variables = [
        ("TRUSTED_FRONT_SHA256", HASH),
        ("JWT_ISSUER", "https://auth.example.com"),
        ("LIMIT_REGISTER_PER_ADDRESS", "2"),
    ];
    World::with(&[&variables, more].concat())
}

/// A registration through the front, for a client that it says is at this address.
fn through(world: &World, phone: &str, address: &str) -> Person {
    let person = world.visitor(phone).at(FRONT).with_header("x-origin-verify", SECRET);
    person.with_header("x-viewer-address", address)
}

async fn register_from(world: &World, at: usize, address: &str) -> u16 {
    through(world, &format!("+2010123400{at:02}"), address).register().await.status
}

#[tokio::test]
async fn limits_count_the_address_that_the_front_tells() {
    let world = world(&[]);
    // Each client has its own budget, though all come from the front's address; two spellings are one client.
    for (at, (address, status)) in [
        ("192.0.2.1", 201),
        ("192.0.2.1:4653", 201),
        ("::ffff:192.0.2.1", 429),
        ("192.0.2.2", 201),
        ("2001:db8:1:2::1", 201),
        ("[2001:db8:1:2::2]:443", 201),
        ("2001:db8:1:2:3:4:5:6", 429),
        ("2001:db8:1:3::1", 201),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(register_from(&world, at, address).await, status, "{address}");
    }
    // The audit log names the client too, and the list of sessions.
    let person = through(&world, PHONE, "192.0.2.9");
    person.register().await.expect(201);
    person.login().await.expect(200);
    let lines = world.audit_log.take();
    assert_eq!(lines.last().unwrap()["address"], "192.0.2.9");
    assert_eq!(person.sessions().await.expect(200).body["sessions"][0]["address"], "192.0.2.9");
}

#[tokio::test]
async fn cloudfronts_own_header_has_a_port_after_the_address() {
    let world = world(&[("TRUSTED_FRONT_ADDRESS_HEADER", "CloudFront-Viewer-Address")]);
    for (at, (address, status)) in
        [("2001:db8:1::1:4653", 201), ("2001:db8:1::1:443", 201), ("2001:db8:1::2:1", 429), ("192.0.2.1:1", 201)]
            .into_iter()
            .enumerate()
    {
        let person = world.visitor(&format!("+2010123400{at:02}")).at(FRONT);
        let person = person.with_header("x-origin-verify", SECRET).with_header("x-viewer-address", "192.0.2.77");
        let reply = person.with_header("cloudfront-viewer-address", address).register().await;
        assert_eq!(reply.status, status, "{address}");
    }
}

#[tokio::test]
async fn without_the_secret_no_header_changes_an_address() {
    for variables in [vec![], vec![("TRUSTED_FRONT_SHA256", "")]] {
        let world = world(&variables);
        for (at, secret) in ["", "A-secret-of-the-front", HASH, "a-secret-of-the-front,"].into_iter().enumerate() {
            let person = world.visitor(&format!("+2010123400{at:02}")).at("203.0.113.50");
            let person = person.with_header("x-viewer-address", &format!("192.0.2.{at}"));
            let person = person.with_header("x-forwarded-for", &format!("192.0.2.{at}"));
            let person = if secret.is_empty() { person } else { person.with_header("x-origin-verify", secret) };
            let reply = person.register().await;
            if at < 2 {
                reply.expect(201);
            } else {
                reply.expect_limit("register-address");
            }
        }
    }
    // With the right secret among others, it is not the front that sent it: a CDN replaces a client's header.
    let world = world(&[]);
    for at in 0..3 {
        let request = json!({"phone": format!("+2010123400{at:02}"), "password": "a long password"});
        let request = Request::post("/auth/register", request).from("203.0.113.50");
        let request = request.header("x-origin-verify", SECRET).another_header("x-origin-verify", "another");
        let reply = world.send(request.header("x-viewer-address", &format!("192.0.2.{at}"))).await;
        assert_eq!(reply.status, if at < 2 { 201 } else { 429 });
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_nobodys_own() {
    let world = world(&[]);
    for (at, address) in ["unknown", "192.0.2.1, 192.0.2.2", "192.0.2.999", "[2001:db8::1"].into_iter().enumerate() {
        let status = register_from(&world, at, address).await;
        assert_eq!(status, if at < 2 { 201 } else { 429 }, "all of them share one budget: {address}");
    }
    // A request of the front's own names no client, and counts for the front.
    for at in 10..13 {
        let person = world.visitor(&format!("+2010123400{at:02}")).at(FRONT).with_header("x-origin-verify", SECRET);
        assert_eq!(person.register().await.status, if at < 12 { 201 } else { 429 });
    }
}

#[tokio::test]
async fn two_secrets_are_believed_during_a_change() {
    let world = world(&[("TRUSTED_FRONT_SHA256", &format!("{HASH}, {NEXT_HASH}"))]);
    for (at, secret) in [SECRET, NEXT_SECRET, SECRET, NEXT_SECRET].into_iter().enumerate() {
        let person = through(&world, &format!("+2010123400{at:02}"), &format!("192.0.2.{at}"));
        person.with_header("x-origin-verify", secret).register().await.expect(201);
    }
}

fn check_refused(reply: &Reply, route: &str) {
    assert_eq!((reply.status, reply.code()), (403, "past-front"), "{route}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{route}");
}

#[tokio::test]
async fn past_the_front_nothing_happens_where_it_is_the_only_way() {
    let world = world(&[("TRUSTED_FRONT_ONLY", "true"), ("ALLOWED_ORIGINS", "https://app.example.com")]);
    let person = through(&world, PHONE, "192.0.2.1");
    person.register().await.expect(201);
    person.login().await.expect(200);
    person.me().await.expect(200);
    world.audit_log.take();
    let before = world.items("");
    let routes = TEMPLATE.functions.iter().flat_map(|function| &function.routes);
    let routes: Vec<_> = routes.map(|route| (route.method.clone(), route.path.clone())).collect();
    for (method, path) in routes.into_iter().chain([("POST".to_owned(), "/nothing".to_owned())]) {
        let path = path.replace("{id}", "1").replace("{file}", "start.js");
        let request = Request::new(method.parse().unwrap(), &path).header("x-viewer-address", "192.0.2.1");
        for request in [request.clone(), request.header("x-origin-verify", "a guess")] {
            let reply = world.send(request.bearer(&person.access_token())).await;
            if method == "HEAD" {
                assert_eq!(reply.status, 403);
            } else {
                check_refused(&reply, &path);
            }
        }
    }
    // A page may read why, and a preflight is no way in either.
    let preflight = Request::new(Method::OPTIONS, "/auth/login").header("origin", "https://app.example.com");
    let reply = world.send(preflight.header("access-control-request-method", "POST")).await;
    check_refused(&reply, "a preflight");
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(world.items(""), before, "nothing is counted");
    assert!(world.audit_log.take().is_empty(), "API Gateway's access log has the requests");
    // Requests that do not come by HTTP have no front.
    world.rotate_keys().await.unwrap();
}

/// The firewall in front limits the routes that strangers can make hash or send, and each of them.
#[tokio::test]
async fn the_firewall_knows_every_costly_route_of_strangers() {
    let description = World::new().get("/openapi.json").await.expect(200).body;
    let settings = &TEMPLATE.source["Resources"]["HttpApi"]["Properties"]["RouteSettings"];
    let is_costly = |path: &str| {
        let rate = &settings[format!("POST {path}").as_str()]["ThrottlingRateLimit"];
        matches!(rate, Yaml::Tagged(rate) if rate.value == "CostlyRate") || path == "/auth/login"
    };
    let paths = description["paths"].as_object().unwrap().iter();
    let of_strangers = paths.filter(|(_, operations)| {
        operations["post"].is_object() && operations["post"]["security"].as_array().is_some_and(Vec::is_empty)
    });
    let costly: BTreeSet<_> = of_strangers.map(|(path, _)| path.as_str()).filter(|path| is_costly(path)).collect();
    let front = file("front.yaml");
    let (_, pattern) = front.split_once("RegexString: \"^/auth/(").unwrap();
    let (names, _) = pattern.split_once(")$\"").unwrap();
    let limited: Vec<_> = names.split('|').map(|name| format!("/auth/{name}")).collect();
    assert_eq!(limited.iter().map(String::as_str).collect::<BTreeSet<_>>(), costly);
}
