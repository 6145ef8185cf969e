//! `GET /docs`, `GET /docs/{file}`, `GET /openapi.json`

use serde_json::Value;

use crate::harness::World;

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
        assert_eq!(file.header("cache-control"), Some("public, max-age=300"));
        loaded += 1;
    }
    assert_eq!(loaded, 4);
}

#[tokio::test]
async fn other_files_are_not_there() {
    let world = World::new();
    for path in ["/docs/index.html", "/docs/nothing.js", "/docs/..%2f..%2fetc%2fpasswd"] {
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
            if is_error(&status) {
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
    assert_eq!(register["properties"]["phone"]["example"], "01012345678");
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
