//! Members that an endpoint does not ask for (CVE-2026-27946): wherever there is a body, they change nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    faults::{ENDPOINTS, Prepared},
    harness::{TEMPLATE, World},
};

/// The names of attributes, and what a client would like them to be.
fn wishes() -> Value {
    let wishes = r##"{
        "id": "00000000-0000-4000-8000-000000000000", "user_id": "00000000-0000-4000-8000-000000000000",
        "sub": "00000000-0000-4000-8000-000000000000", "sid": "00000000-0000-4000-8000-000000000000",
        "session": "00000000-0000-4000-8000-000000000000", "user": "admin", "role": "admin", "roles": ["admin"],
        "is_admin": true, "scope": "admin", "verified": true, "is_verified": true, "phone_verified": true,
        "phone_verified_at": 1, "activated": true, "mfa_enabled": false, "second_factor": true, "amr": ["mfa"],
        "epoch": 99, "ver": 99, "generation": 0, "created_at": 1, "authenticated_at": 9999999999999,
        "auth_time": 9999999999, "ends_at": 9999999999999, "expires_at": 1, "idle_ends_at": 1,
        "expires_in": 999999, "attempts": 0, "attempts_end": 999, "failures": 0, "login_failures": 0,
        "max_attempts": 999, "disabled_at": 1, "deleted_at": 1, "password_hash": "x", "legacy_id": "1", "pk": "KEYS",
        "sk": "JWKS", "address": "192.0.2.1", "device": "a device of mine", "language": "xx", "now": 1,
        "#epoch": 99, ":epoch": 99, "__proto__": {"phone_verified": true}, "constructor": {"admin": true}
    }"##;
    serde_json::from_str(wishes).unwrap()
}

/// The table without what is random: for each kind of item its attributes, with every number and flag.
fn shape(world: &World) -> BTreeMap<String, Vec<String>> {
    let mut shape: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for item in world.items("") {
        let kind = |key: &str| item[key]["S"].as_str().unwrap().split('#').next().unwrap().to_owned();
        let attributes = item.as_object().unwrap().iter().filter(|(name, _)| !["pk", "sk"].contains(&name.as_str()));
        let attributes = attributes.map(|(name, value)| match value.as_object().unwrap().iter().next().unwrap() {
            (type_, value) if ["N", "BOOL"].contains(&type_.as_str()) => format!("{name}: {type_} {value}"),
            (type_, _) => format!("{name}: {type_}"),
        });
        let attributes: Vec<_> = attributes.collect();
        shape.entry(format!("{} {}", kind("pk"), kind("sk"))).or_default().push(attributes.join(", "));
    }
    for items in shape.values_mut() {
        items.sort();
    }
    shape
}

/// The names of the members of a response.
fn members(body: &Value) -> Vec<String> {
    body.as_object().map(|body| body.keys().cloned().collect()).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn members_that_no_endpoint_asks_for_change_nothing_anywhere() {
    let wishes = wishes();
    let mut functions = Vec::new();
    for (endpoint, _, success) in ENDPOINTS {
        let prepared = Prepared::of(endpoint).await;
        let plain = prepared.copy().await;
        let expected = plain.call(endpoint).await.expect(success);
        let wishing = prepared.copy().await.sending(&wishes);
        let reply = wishing.call(endpoint).await.expect(success);
        assert_eq!(members(&reply.body), members(&expected.body), "{endpoint}");
        assert!(shape(&wishing.world) == shape(&plain.world), "{endpoint}: the table differs");
        functions.extend(reply.function);
    }
    // Every function that may write was called.
    for function in &TEMPLATE.functions {
        let reads = ["docs", "health", "openid-configuration", "authorizer", "unmatched"];
        let without_bodies = ["rotate-keys", "rotate-secret", "send-notices"];
        let is_exempt = [&reads[..], &without_bodies].concat().contains(&function.name.as_str());
        assert!(functions.contains(&function.name) || is_exempt, "{}", function.name);
    }
}
