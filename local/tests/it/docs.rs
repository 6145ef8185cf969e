//! `GET /docs`, `GET /docs/{file}`, `GET /openapi.json`

use std::io::Read;

use flate2::read::GzDecoder;
use http::Method;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::harness::{Request, World};

#[tokio::test]
async fn the_page_and_all_that_it_loads_come_from_us() {
    let world = World::new();
    let page = world.get("/docs").await.expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let html = String::from_utf8(page.bytes).unwrap();
    assert!(!html.contains("://"), "no other host");

    let links = html.split(['"']).filter(|part| part.starts_with("docs/"));
    let mut loaded = 0;
    for link in links {
        let file = world.get(&format!("/{link}")).await.expect(200);
        assert!(file.bytes.len() > 100, "{link}");
        loaded += 1;
    }
    assert_eq!(loaded, 4);
}

/// The style of the page names parts of Swagger UI's page, which an update may rename.
#[tokio::test]
async fn the_page_fits_a_phone() {
    let world = World::new();
    let html = String::from_utf8(world.get("/docs").await.expect(200).bytes).unwrap();
    assert!(html.contains(r#"name="viewport" content="width=device-width, initial-scale=1""#));
    let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let classes = style.split(['.', ' ', '\n']).filter(|name| name.starts_with("opblock") || name.contains("-col_"));
    let link = html.split('"').find(|part| part.starts_with("docs/swagger-ui-bundle")).unwrap();
    let script = String::from_utf8(world.get(&format!("/{link}")).await.expect(200).bytes).unwrap();
    let mut found = 0;
    for class in classes {
        assert!(script.contains(class), "{class}");
        found += 1;
    }
    assert_eq!(found, 5);
}

/// Whatever the status of a success: the script of the page names none.
#[tokio::test]
async fn the_page_signs_in_by_every_response_that_has_a_token() {
    let world = World::new();
    let html = String::from_utf8(world.get("/docs").await.expect(200).bytes).unwrap();
    let link = html.split('"').find(|part| part.starts_with("docs/start.")).unwrap();
    let script = String::from_utf8(world.get(&format!("/{link}")).await.expect(200).bytes).unwrap();
    let (_, interceptor) = script.split_once("responseInterceptor").unwrap();
    assert!(interceptor.contains("response.ok && response.body?.access_token"), "{interceptor}");
    assert!(!interceptor.contains(".status"), "{interceptor}");
    // The statuses that it has to do with.
    let description = world.get("/openapi.json").await.expect(200).body;
    let mut statuses = std::collections::BTreeSet::new();
    for operation in
        description["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
    {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let schema =
                response.pointer("/content/application~1json/schema").map(Value::to_string).unwrap_or_default();
            if ["TokenResponse", "ActivateResponse"].iter().any(|name| schema.contains(name)) {
                statuses.insert(status.clone());
            }
        }
    }
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), ["200", "201"]);
}

/// Somebody who asks for all of it without a pause costs as little as can be.
#[tokio::test]
async fn files_are_compressed_and_kept_for_a_year_under_a_name_that_changes_with_them() {
    let world = World::new();
    let html = String::from_utf8(world.get("/docs").await.expect(200).bytes).unwrap();
    let links: Vec<_> =
        html.split(['"']).filter(|part| part.starts_with("docs/")).map(|link| format!("/{link}")).collect();
    for path in links.iter().map(String::as_str).chain(["/docs", "/openapi.json"]) {
        let plain = world.get(path).await.expect(200);
        assert!(plain.header("content-encoding").is_none());
        let is_file = path.starts_with("/docs/");
        let cached = if is_file { "public, max-age=31536000, immutable" } else { "public, max-age=300" };
        // In the shorter form, in which it is served to browsers.
        let packed = world.send(Request::new(Method::GET, path).header("accept-encoding", "gzip")).await.expect(200);
        let digest = digest(&SHA256, &packed.bytes);
        let hash = digest.as_ref()[..8].iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
        assert_eq!(path.contains(&hash), is_file, "{path}");
        for accepted in ["gzip", "br, GZIP", "gzip;q=0.5, *;q=0", "deflate, gzip, br, zstd"] {
            let request = Request::new(Method::GET, path).header("accept-encoding", accepted);
            let packed = world.send(request).await.expect(200);
            assert_eq!(packed.header("cache-control"), Some(cached));
            assert_eq!(packed.header("vary"), Some("accept-encoding"));
            assert_eq!(packed.header("content-type"), plain.header("content-type"));
            if packed.header("content-type") == Some("image/png") {
                assert!(packed.header("content-encoding").is_none() && packed.bytes == plain.bytes);
                continue;
            }
            assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}, {accepted}");
            let mut unpacked = Vec::new();
            GzDecoder::new(&packed.bytes[..]).read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == plain.bytes, "{path}");
            if plain.bytes.len() > 2000 {
                assert!(packed.bytes.len() * 3 < plain.bytes.len(), "{path}");
            }
        }
        for refused in ["", "br", "gzip;q=0", "gzip; q=0.0, identity", "x"] {
            let request = Request::new(Method::GET, path).header("accept-encoding", refused);
            let whole = world.send(request).await.expect(200);
            assert!(whole.header("content-encoding").is_none() && whole.bytes == plain.bytes, "{path}, {refused}");
        }
    }
}

#[tokio::test]
async fn other_files_are_not_there() {
    let world = World::new();
    for path in [
        "/docs/index.html",
        "/docs/nothing.js",
        "/docs/start.js",
        "/docs/swagger-ui-bundle.js",
        "/docs/..%2f..%2fetc%2fpasswd",
    ] {
        world.get(path).await.expect_problem(404, "not-found");
    }
}

#[tokio::test]
async fn the_description_is_openapi_3_1_with_examples_errors_and_the_bearer_scheme() {
    let description = World::new().get("/openapi.json").await.expect(200).body;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(description["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");

    let operations = description["paths"].as_object().unwrap().iter();
    let operations: Vec<(&String, &Value)> =
        operations.flat_map(|(path, methods)| methods.as_object().unwrap().values().map(move |o| (path, o))).collect();
    for (path, operation) in &operations {
        assert!(operation["summary"].is_string(), "{path} has a summary");
        let responses = operation["responses"].as_object().unwrap();
        let is_error = |status: &&String| status.starts_with('4') || status.starts_with('5');
        if path.starts_with("/auth/") {
            assert!(responses.keys().filter(is_error).count() >= 3, "{path} says how it fails");
            assert!(responses.contains_key("503"), "{path}");
        }
        for (status, response) in responses {
            let name = response["$ref"].as_str().unwrap_or_default();
            if is_error(&status) {
                let response = description.pointer(name.trim_start_matches('#')).unwrap();
                // API Gateway's own has no body to rely on.
                if name.ends_with("/Throttled") {
                    continue;
                }
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{path} {status}");
            }
        }
    }
    for path in ["/auth/me", "/auth/change-password"] {
        let secured = operations.iter().find(|(known, _)| *known == path).unwrap().1;
        assert!(secured["security"][0]["bearer"].is_array(), "{path}");
    }

    let schemas = description["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        // A schema that has all members of another one, and some of its own.
        let parts = schema["allOf"].as_array().map_or_else(|| vec![schema], |parts| parts.iter().collect());
        for (member, property) in parts.into_iter().filter_map(|part| part["properties"].as_object()).flatten() {
            let mut choices = property["oneOf"].as_array().into_iter().flatten().chain([property]);
            let documented = choices.any(|schema| schema["description"].is_string() || schema["$ref"].is_string());
            assert!(documented, "{name}.{member} has a description");
        }
    }
    let register = &schemas["RegisterRequest"];
    assert_eq!(register["properties"]["phone"]["examples"][0], "01012345678");
    assert_eq!(register["properties"]["password"]["format"], "password");
    assert_eq!(register["required"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn every_reference_in_the_description_leads_somewhere() {
    let description = World::new().get("/openapi.json").await.expect(200).body;
    let mut references = Vec::new();
    collect(&description, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a local reference");
        assert!(description.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

#[tokio::test]
async fn endpoints_that_a_setting_switches_off_are_not_listed_and_every_other_one_is() {
    let paths = async |methods: &str| {
        let world = World::with(&[("SIGN_IN_METHODS", methods)]);
        let metadata = world.get("/.well-known/openid-configuration").await.expect(200).body;
        let supported: Vec<_> = methods.split(',').collect();
        assert_eq!(metadata["sign_in_methods_supported"], serde_json::json!(supported));
        let description = world.get("/openapi.json").await.expect(200).body;
        let paths: Vec<_> = description["paths"].as_object().unwrap().keys().cloned().collect();
        // What is not listed is refused, and nothing else is.
        for (path, operations) in description["paths"].as_object().unwrap() {
            let method = operations.as_object().unwrap().keys().next().unwrap().to_uppercase();
            let request = Request::new(method.parse().unwrap(), &path.replace("{id}", "x"));
            assert!(world.send(request).await.code() != "sign-in-method-off", "{path}");
        }
        (world, paths)
    };
    let (_, all) = paths("password,code").await;
    for methods in ["password", "code"] {
        let (world, some) = paths(methods).await;
        let off: Vec<_> = all.iter().filter(|path| !some.contains(path)).collect();
        assert!(off.len() >= 3, "{off:?}");
        for path in off {
            world.post(path, serde_json::json!({})).await.expect_problem(403, "sign-in-method-off");
        }
    }
}
