//! Every request body: what is read is what is described, and the values that the description allows are the values that
//! are read (docs/adr/0034-one-declaration-per-request-body.md).

#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use latchkey::{
    config::Config,
    http::{Fields, FromFields},
    tokens::refresh::RefreshToken,
};
use proptest::{
    strategy::{Strategy, ValueTree},
    string::string_regex,
    test_runner::TestRunner,
};
use regex_lite::Regex;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// A type of request bodies.
struct Body {
    name: String,
    schema: Value,
    asked: Vec<&'static str>,
    /// Returns the pointers of the members that are refused.
    read: fn(&Value) -> BTreeSet<String>,
}

fn body<T: FromFields + ToSchema>() -> Body {
    fn read<T: FromFields>(body: &Value) -> BTreeSet<String> {
        let read = Fields::new(body.as_object().unwrap().clone(), &config()).read::<T>();
        read.err().into_iter().flatten().map(|error| error.pointer).collect()
    }
    Body {
        name: T::name().into_owned(),
        schema: serde_json::to_value(T::schema()).unwrap(),
        asked: Fields::asked_by::<T>(&config()),
        read: read::<T>,
    }
}

fn bodies() -> Vec<Body> {
    vec![
        body::<activate::ActivateRequest>(),
        body::<change_password::ChangePasswordRequest>(),
        body::<change_phone::ChangePhoneRequest>(),
        body::<change_phone_verify::ChangePhoneVerifyRequest>(),
        body::<code::CodeRequest>(),
        body::<code_resend::CodeResendRequest>(),
        body::<code_verify::CodeVerifyRequest>(),
        body::<latchkey::flows::refresh_token::RefreshTokenRequest>(),
        body::<login::LoginRequest>(),
        body::<login_mfa::LoginMfaRequest>(),
        body::<me_delete::MeDeleteRequest>(),
        body::<mfa_confirm::MfaConfirmRequest>(),
        body::<mfa_disable::MfaDisableRequest>(),
        body::<mfa_enroll::MfaEnrollRequest>(),
        body::<mfa_recovery_codes::MfaRecoveryCodesRequest>(),
        body::<recover::RecoverRequest>(),
        body::<refresh::RefreshRequest>(),
        body::<register::RegisterRequest>(),
        body::<request_reset::RequestResetRequest>(),
        body::<resend_activation::ResendActivationRequest>(),
        body::<revoke::RevokeRequest>(),
        body::<sessions_delete::SessionsDeleteRequest>(),
        body::<set_password::SetPasswordRequest>(),
        body::<start_anew::StartAnewRequest>(),
        body::<step_up::StepUpRequest>(),
        body::<verify_phone_confirm::VerifyPhoneConfirmRequest>(),
        body::<verify_reset::VerifyResetRequest>(),
    ]
}

fn config() -> Config {
    Config::from_variables(&HashMap::from([("TABLE_NAME".to_owned(), "t".to_owned())])).unwrap()
}

/// The objects that a schema is a choice of.
fn objects(schema: &Value) -> Vec<&Value> {
    schema["anyOf"].as_array().map_or_else(|| vec![schema], |objects| objects.iter().collect())
}

fn is_required(object: &Value, name: &str) -> bool {
    object["required"].as_array().is_some_and(|names| names.contains(&json!(name)))
}

/// Returns whether a schema of a member allows a value. It knows the keywords that our members have, and no others.
fn allows(schema: &Value, value: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(keyword, rule)| match keyword.as_str() {
        "type" => {
            let kind = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::String(_) => "string",
                Value::Number(_) => "number",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            rule == kind || rule.as_array().is_some_and(|kinds| kinds.contains(&json!(kind)))
        }
        "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= rule.as_u64().unwrap()),
        "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap()),
        "pattern" => value.as_str().is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
        // What no rule can express; `valid` knows values.
        "format" => ["password", "phone"].contains(&rule.as_str().unwrap()),
        "description" | "examples" => true,
        _ => panic!("{keyword}: a test for it is missing here"),
    })
}

/// Returns values of every kind that the schema of a member allows.
fn valid(schema: &Value, runner: &mut TestRunner) -> Vec<Value> {
    if schema["type"] == "null" {
        return vec![Value::Null];
    }
    let mut values = schema["examples"].as_array().unwrap().clone();
    if schema["format"] == "phone" {
        values.extend(
            ["+201012345678", "00201012345678", "+12015550123", "+4915123456789", "01112345678"].map(Value::from),
        );
    } else if let Some(pattern) = schema["pattern"].as_str() {
        let bound = |name: &str| schema[name].as_u64();
        let lengths = bound("minLength").zip(bound("maxLength"));
        let in_lengths = |least: u64, most: u64| {
            let open = pattern.trim_end_matches('$').trim_end_matches(['*', '+']);
            format!("{open}{{{least},{most}}}$")
        };
        let patterns = lengths.map_or_else(
            || vec![pattern.to_owned()],
            |(least, most)| vec![in_lengths(least, least), in_lengths(most, most), in_lengths(least, most)],
        );
        for pattern in patterns {
            let texts = string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).unwrap();
            let text = || texts.new_tree(runner).unwrap().current();
            // Unicode's noncharacters are refused in passwords, but not every engine has a pattern for them.
            let is_text = |text: &String| {
                !text.chars().any(|c| matches!(u32::from(c), 0xfdd0..=0xfdef) || u32::from(c) & 0xfffe == 0xfffe)
            };
            values.extend(std::iter::repeat_with(text).take(30).filter(is_text).map(Value::from));
        }
    } else if schema["type"] == "string" {
        values.push(json!("x"));
    }
    if schema["type"].as_array().is_some_and(|kinds| kinds.contains(&json!("boolean"))) {
        values.push(json!(false));
    }
    if schema["type"].is_array() {
        values.push(Value::Null);
    }
    values
}

/// Returns values that the schema of a member forbids, made from those that it allows.
fn invalid(schema: &Value, runner: &mut TestRunner) -> Vec<Value> {
    let mut values =
        vec![json!(0), json!(123_456), json!([]), json!({}), json!(["123456"]), json!(""), json!(true), Value::Null];
    for value in valid(schema, runner) {
        let Some(text) = value.as_str() else { continue };
        let shorter: String = text.chars().skip(1).collect();
        let longest = usize::try_from(schema["maxLength"].as_u64().unwrap_or(200)).unwrap();
        let too_long: String = text.chars().cycle().take(longest.max(text.chars().count()) + 1).collect();
        values.extend(
            [shorter, format!("{text}x"), format!("{text}\u{7}"), too_long, format!("+{text}")].map(Value::from),
        );
    }
    values.retain(|value| !allows(schema, value));
    values
}

/// The body of an object's examples, with one member replaced.
fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut body = Map::new();
    for (member, schema) in object["properties"].as_object().unwrap() {
        if is_required(object, member) {
            body.insert(member.clone(), schema["examples"][0].clone());
        }
    }
    body.insert(name.to_owned(), value);
    Value::Object(body)
}

#[test]
fn the_bodies_of_the_description_are_these() {
    let description: Value = serde_json::from_str(docs::description()).unwrap();
    let operations =
        description["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let described: BTreeSet<_> = operations
        .filter_map(|operation| operation.get("requestBody"))
        .map(|body| body["content"]["application/json"]["schema"]["$ref"].as_str().unwrap())
        .map(|reference| reference.strip_prefix("#/components/schemas/").unwrap().to_owned())
        .collect();
    assert_eq!(described, bodies().into_iter().map(|body| body.name).collect());
    for body in bodies() {
        assert_eq!(description["components"]["schemas"][&body.name], body.schema, "{}", body.name);
    }
}

#[test]
fn the_members_that_are_read_are_the_members_that_are_described() {
    for body in bodies() {
        let asked: BTreeSet<_> = body.asked.iter().map(|name| (*name).to_owned()).collect();
        for object in objects(&body.schema) {
            let described = object["properties"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(asked, described, "{}", body.name);
        }
    }
}

#[test]
fn what_the_description_allows_is_read() {
    let mut runner = TestRunner::deterministic();
    let mut tried = 0;
    for body in bodies() {
        for object in objects(&body.schema) {
            for (name, schema) in object["properties"].as_object().unwrap() {
                for value in valid(schema, &mut runner) {
                    assert!(allows(schema, &value), "{}.{name}: {value}", body.name);
                    let request = with(object, name, value);
                    assert_eq!((body.read)(&request), BTreeSet::new(), "{}: {request}", body.name);
                    tried += 1;
                }
            }
        }
        let examples = body.schema["examples"].as_array().unwrap();
        assert_eq!(examples.len(), objects(&body.schema).len(), "{}", body.name);
        for example in examples {
            assert_eq!((body.read)(example), BTreeSet::new(), "{}: {example}", body.name);
        }
    }
    assert!(tried > 1000, "{tried}");
}

#[test]
fn what_the_description_forbids_is_refused_at_its_member() {
    let mut runner = TestRunner::deterministic();
    let mut tried = 0;
    for body in bodies() {
        let objects = objects(&body.schema);
        for object in &objects {
            for (name, schema) in object["properties"].as_object().unwrap() {
                for value in invalid(schema, &mut runner) {
                    let request = with(object, name, value);
                    // A value that this object forbids may be allowed by the other one.
                    let is_allowed = objects.iter().any(|other| {
                        let properties = other["properties"].as_object().unwrap();
                        properties.iter().all(|(name, schema)| {
                            // An empty text of a member that may be absent is absent.
                            let may_be_absent = !is_required(other, name);
                            let is_read = |value: &Value| allows(schema, value) || (may_be_absent && *value == "");
                            request.get(name).map_or(may_be_absent, is_read)
                        })
                    });
                    let refused = (body.read)(&request);
                    assert_eq!(refused.is_empty(), is_allowed, "{}: {request}", body.name);
                    tried += 1;
                }
            }
            for name in object["required"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap();
                let mut request = with(object, name, Value::Null);
                assert!(!(body.read)(&request).is_empty() || objects.len() > 1, "{}: {request}", body.name);
                request.as_object_mut().unwrap().remove(name);
                assert!(!(body.read)(&request).is_empty() || objects.len() > 1, "{}: {request}", body.name);
            }
        }
    }
    assert!(tried > 1000, "{tried}");
}

/// A body with both proofs of a second factor is in neither object.
#[test]
fn two_proofs_at_once_are_forbidden_and_refused() {
    let choices = bodies().into_iter().filter(|body| body.asked.contains(&"recovery_code"));
    let mut tried = 0;
    for body in choices {
        let request = with(objects(&body.schema)[1], "code", json!("654321"));
        assert!(objects(&body.schema).iter().all(|object| {
            let properties = object["properties"].as_object().unwrap();
            properties.iter().any(|(name, schema)| request.get(name).is_some_and(|value| !allows(schema, value)))
        }));
        assert_eq!((body.read)(&request), BTreeSet::from(["/recovery_code".to_owned()]), "{}", body.name);
        tried += 1;
    }
    assert_eq!(tried, 12);
}

/// Clients, and people, copy examples: each is whole, and tokens have the form of today's.
#[test]
fn examples_are_whole_and_have_the_form_of_what_is_issued() {
    fn visit(value: &Value, name: &str, seen: &mut BTreeMap<String, BTreeSet<String>>) {
        match value {
            Value::Object(members) => {
                // Of a property, and of an object.
                for example in members.get("examples").and_then(Value::as_array).into_iter().flatten() {
                    collect(example, name, seen);
                }
                if let Some(example) = members.get("example") {
                    collect(example, name, seen);
                }
                for (name, value) in members {
                    visit(value, name, seen);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| visit(value, name, seen)),
            _ => {}
        }
    }
    fn collect(example: &Value, name: &str, seen: &mut BTreeMap<String, BTreeSet<String>>) {
        match example {
            Value::String(text) => {
                seen.entry(name.to_owned()).or_default().insert(text.clone());
            }
            Value::Object(members) => members.iter().for_each(|(name, value)| collect(value, name, seen)),
            Value::Array(values) => values.iter().for_each(|value| collect(value, name, seen)),
            _ => {}
        }
    }
    let mut seen = BTreeMap::new();
    visit(&serde_json::from_str(docs::description()).unwrap(), "", &mut seen);
    for (name, examples) in &seen {
        assert!(examples.iter().all(|example| !example.contains('…')), "{name}: {examples:?}");
    }
    for token in &seen["refresh_token"] {
        assert!(RefreshToken::kid_of(token).is_ok());
    }
    for token in &seen["access_token"] {
        assert_eq!(token.split('.').map(str::len).collect::<Vec<_>>()[2], 86);
    }
    // Sealed by the first key, in version 2.
    for name in ["activation_id", "challenge"] {
        assert!(seen[name].iter().all(|text| text.starts_with("AgE") && text.len() > 80), "{name}");
    }
}
