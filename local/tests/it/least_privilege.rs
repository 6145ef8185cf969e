//! Granted is used, and used is granted: for every function, both ways.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use local::template::{Function, Permission};
use serde_json::json;
use serde_norway::Value;

use crate::{
    events,
    harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, TEMPLATE, World, another_code},
    sms::Provider,
};

/// What a webhook knows us by.
const CREDENTIALS: &str = r#"{"secret": "whsec_YSBzZWNyZXQga2V5IG9mIGEgdGVzdCdzIHdlYmhvb2s="}"#;

/// A third one.
const THIRD_PHONE: &str = "01212345678";

/// Changes the phone with a code that no provider sent: a test number has one.
async fn change_in_spite_of(world: &World, token: &str) {
    world.change_phone(token, PASSWORD, "01000000001").await.expect(202);
    world.change_phone_verify(token, "01000000001", "042424").await.expect(204);
}

/// Activates a registration, where that has to be.
async fn activate_one(world: &World) {
    let reply = world.register(OTHER_PHONE, PASSWORD).await.expect(202);
    let registration = reply.text("activation_id");
    world.resend_activation(registration).await.expect(429);
    world.advance(2);
    world.resend_activation(registration).await.expect(202);
    let code = world.last_code();
    world.activate(registration, &another_code(&code)).await.expect(400);
    world.activate(registration, &code).await.expect(201);
}

/// Goes every way of a second factor.
async fn show_a_factor(world: &World) {
    world.register(PHONE, PASSWORD).await.expect(201);
    let factor = world.switch_factor_on(PASSWORD).await;
    let wrong = another_code(&factor.code(world));
    for path in ["/auth/mfa/enroll", "/auth/mfa/recovery-codes", "/auth/mfa/disable"] {
        world.with_factor(path, &factor.token, "wrong password", ("code", &wrong)).await.expect(403);
        world.with_factor(path, &factor.token, PASSWORD, ("code", &wrong)).await.expect(400);
    }
    world.with_factor("/auth/mfa/enroll", &factor.token, PASSWORD, ("code", &factor.code(world))).await.expect(200);
    world.advance(30);
    let mut token = factor.token.clone();
    for at in 0..22 {
        let mfa_token = world.mfa_token(PASSWORD).await;
        if at == 0 {
            world.login_mfa(&mfa_token, ("code", &wrong)).await.expect(400);
        }
        token = world.login_mfa(&mfa_token, ("code", &factor.code(world))).await.expect(200).tokens().0;
        world.advance(30);
    }
    let code = factor.code(world);
    let codes = world.with_factor("/auth/mfa/recovery-codes", &token, PASSWORD, ("code", &code)).await;
    let recovery_code = codes.expect(200).body["recovery_codes"][0].as_str().unwrap().to_owned();
    let proof = ("recovery_code", recovery_code.as_str());
    world.with_factor("/auth/mfa/disable", &token, PASSWORD, proof).await.expect(204);
    let factor = world.switch_factor_on(PASSWORD).await;
    world.delete_me(&factor.token, PASSWORD, ("code", &wrong)).await.expect(400);
    world.delete_me(&factor.token, PASSWORD, ("code", &factor.code(world))).await.expect(204);
    world.delete_me(&factor.token, PASSWORD, ("code", &factor.code(world))).await.expect(204);
}

/// Goes every way at whose end the owner of the phone is told something.
async fn tell_the_owner(world: &World, provider: &Provider) {
    let last_code = || {
        let sent = world.emulator.sns().requests().pop().unwrap_or_else(|| provider.last_body());
        let sent = sent.replace("%20", " ");
        let code = sent.split(|c: char| !c.is_ascii_digit()).find(|run| run.len() == 6);
        code.expect("a code was sent").to_owned()
    };
    let token = world.token(PASSWORD).await;
    world.verify_phone(&token).await.expect(202);
    world.confirm_phone(&token, &last_code()).await.expect(204);
    let mut factor = world.switch_factor_on(PASSWORD).await;
    let path = "/auth/mfa/recovery-codes";
    let codes = world.with_factor(path, &factor.token, PASSWORD, ("code", &factor.code(world))).await.expect(200);
    let mut codes =
        codes.body["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned());
    let mut next = || codes.next().unwrap();
    world.with_factor("/auth/mfa/enroll", &factor.token, PASSWORD, ("recovery_code", &next())).await.expect(200);
    let mfa_token = world.mfa_token(PASSWORD).await;
    factor.token = world.login_mfa(&mfa_token, ("recovery_code", &next())).await.expect(200).tokens().0;
    world.change_password(&factor.token, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.request_reset(PHONE).await.expect(202);
    let reset = json!({"phone": PHONE, "otp": last_code(), "new_password": PASSWORD, "recovery_code": next()});
    world.post("/auth/verify-reset", reset).await.expect(204);
    let mfa_token = world.mfa_token(PASSWORD).await;
    let token = world.login_mfa(&mfa_token, ("recovery_code", &next())).await.expect(200).tokens().0;
    world.with_factor("/auth/mfa/disable", &token, PASSWORD, ("recovery_code", &next())).await.expect(204);
    let factor = world.switch_factor_on(PASSWORD).await;
    let proof = ("recovery_code", factor.recovery_codes[0].as_str());
    world.delete_me(&factor.token, PASSWORD, proof).await.expect(204);
}

/// Goes every way that asks something of the table.
async fn go_every_way(world: &World) {
    world.login(PHONE, PASSWORD).await;
    world.register(PHONE, PASSWORD).await.expect(201);
    world.register(PHONE, PASSWORD).await.expect(409);
    world.login(PHONE, "wrong password").await.expect(401);
    let token = world.token(PASSWORD).await;
    world.me(&token).await.expect(200);
    world.bearer(Method::GET, "/auth/me/export", &token).await.expect(200);
    let (ended, refresh_token) = world.tokens(PASSWORD).await;
    world.refresh(&refresh_token).await.expect(200);
    world.advance(60);
    world.refresh(&refresh_token).await.expect(401);
    for _ in 0..25 {
        world.token(PASSWORD).await;
    }
    let token = world.token(PASSWORD).await;
    let list = world.bearer(Method::GET, "/auth/sessions", &token).await.expect(200);
    let other = list.body["sessions"].as_array().unwrap().iter().find(|session| session["current"] == false).unwrap();
    let path = format!("/auth/sessions/{}", other["id"].as_str().unwrap());
    world.bearer(Method::DELETE, &path, &token).await.expect(204);
    world.bearer(Method::POST, "/auth/logout", &ended).await.expect(204);
    world.bearer(Method::POST, "/auth/logout-all", &token).await.expect(204);
    let (token, (_, outlived)) = (world.token(PASSWORD).await, world.tokens(PASSWORD).await);
    world.change_password(&token, "wrong password", NEW_PASSWORD).await.expect(403);
    world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    world.refresh(&outlived).await.expect(401);
    world.verify_phone(&token).await.expect(202);
    world.confirm_phone(&token, &world.last_code()).await.expect(204);
    world.advance(2);
    world.change_phone(&token, "wrong password", THIRD_PHONE).await.expect(403);
    world.change_phone(&token, NEW_PASSWORD, THIRD_PHONE).await.expect(202);
    world.change_phone_verify(&token, THIRD_PHONE, &world.last_code()).await.expect(204);
    world.change_phone(&token, NEW_PASSWORD, PHONE).await.expect(202);
    let code = world.last_code();
    world.change_phone_verify(&token, PHONE, &code).await.expect(204);
    world.change_phone_verify(&token, PHONE, &code).await.expect(400);
    let code = world.code(PHONE).await;
    world.request_reset(PHONE).await.expect(429);
    world.request_reset(OTHER_PHONE).await.expect(202);
    world.verify_reset(PHONE, &another_code(&code), RESET_PASSWORD).await.expect(400);
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
    world.me(&token).await.expect(401);
    for path in ["/docs", "/openapi.json", "/health", "/.well-known/jwks.json", "/.well-known/openid-configuration"] {
        world.get(path).await.expect(200);
    }
    let event = json!({"headers": {"authorization": format!("Bearer {}", world.token(RESET_PASSWORD).await)}});
    world.invoke("authorizer", event).await.unwrap();
    world.rotate_keys().await.unwrap();
}

#[tokio::test]
async fn every_function_is_granted_what_it_uses_and_nothing_else() {
    let world = World::new();
    go_every_way(&world).await;
    let mut calls = world.calls();
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    activate_one(&world).await;
    calls.extend(world.calls());
    let world = World::new();
    show_a_factor(&world).await;
    calls.extend(world.calls());
    // Each kind of provider has a way of its own.
    let provider = Provider::answering(204, "");
    for variables in
        [[("SMS_PROVIDER", "sns"), ("SMS_API_URL", "")], [("SMS_PROVIDER", "http"), ("SMS_API_URL", &provider.url)]]
    {
        let variables = [&variables[..], &[("SMS_FLOOR_MS", "0"), ("TEST_NUMBERS", "01000000001=042424")]].concat();
        let world = World::with(&variables).with_account().await;
        world.request_reset(PHONE).await.expect(202);
        let token = world.token(PASSWORD).await;
        world.verify_phone(&token).await;
        world.change_phone(&token, PASSWORD, THIRD_PHONE).await;
        // As if that code had come back: the owner of a phone that is verified is told.
        let mut profile = world.item("USER#", "PROFILE");
        profile["phone_verified_at"] = json!({"N": "1800000000000"});
        world.put_item(&profile);
        change_in_spite_of(&world, &token).await;
        calls.extend(world.calls());

        let world = World::with(&[&variables[..], &[("REQUIRE_ACTIVATION", "true")]].concat());
        world.emulator.secrets().lend("SmsCredentials", CREDENTIALS.to_owned());
        let reply = world.register(PHONE, PASSWORD).await.expect(202);
        world.advance(2);
        world.resend_activation(reply.text("activation_id")).await.expect(202);
        calls.extend(world.calls());

        let world =
            World::with(&[&variables[..], &[("LIMIT_MESSAGES_PER_PHONE", "100")]].concat()).with_account().await;
        world.emulator.secrets().lend("SmsCredentials", CREDENTIALS.to_owned());
        tell_the_owner(&world, &provider).await;
        calls.extend(world.calls());
    }
    // And every endpoint once, by a caller who is signed in: enough for one that does nothing else.
    let world = events::world();
    events::send_all(&world).await;
    calls.extend(world.calls());
    let mut used: BTreeMap<String, BTreeSet<Permission>> = BTreeMap::new();
    for call in calls {
        used.entry(call.function).or_default().extend(call.permissions);
    }
    for function in &TEMPLATE.functions {
        let used = used.remove(&function.name).unwrap_or_default();
        assert_eq!(function.permissions, used, "granted (left) and used (right) by {}", function.name);
    }
}

#[tokio::test]
async fn what_is_not_granted_is_denied() {
    let world = World::new();
    let clients = world.emulator.clients_for(TEMPLATE.function("me").unwrap());
    let scan = clients.dynamodb.scan().table_name(&TEMPLATE.table.name).send().await;
    let error = scan.expect_err("`me` may not scan").into_service_error();
    assert_eq!(error.meta().code(), Some("AccessDeniedException"));
    let clients = world.emulator.clients_for(TEMPLATE.function("request-reset").unwrap());
    clients.secrets.get_secret_value().secret_id("SecretKey").send().await.unwrap();
    let other = clients.secrets.get_secret_value().secret_id("SigningKeys").send().await;
    let error = other.expect_err("it may read one secret, and not the other").into_service_error();
    assert_eq!(error.meta().code(), Some("AccessDeniedException"));
}

#[test]
fn private_keys_are_for_those_that_sign_and_for_their_rotation_alone() {
    const SENDERS: [&str; 14] = [
        "change-password",
        "change-phone",
        "change-phone-verify",
        "login-mfa",
        "me-delete",
        "mfa-confirm",
        "mfa-disable",
        "mfa-enroll",
        "mfa-recovery-codes",
        "register",
        "request-reset",
        "resend-activation",
        "verify-phone",
        "verify-reset",
    ];
    let readers = |secret: &str| -> Vec<_> {
        let reads = |function: &&Function| {
            function
                .permissions
                .iter()
                .any(|permission| permission.action == "secretsmanager:GetSecretValue" && permission.resource == secret)
        };
        let mut names: Vec<_> = TEMPLATE.functions.iter().filter(reads).map(|f| f.name.as_str()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(readers("SigningKeys"), ["login", "login-mfa", "refresh", "rotate-keys"]);
    assert_eq!(readers("SmsCredentials"), SENDERS);
    assert_eq!(
        readers("SecretKey"),
        [
            "activate",
            "change-phone",
            "change-phone-verify",
            "login",
            "login-mfa",
            "me-delete",
            "mfa-confirm",
            "mfa-disable",
            "mfa-enroll",
            "mfa-recovery-codes",
            "refresh",
            "register",
            "request-reset",
            "resend-activation",
            "verify-phone",
            "verify-phone-confirm",
            "verify-reset"
        ]
    );
}

#[test]
fn policies_name_exact_actions_on_our_own_resources_alone() {
    for function in &TEMPLATE.functions {
        for Permission { action, resource } in &function.permissions {
            assert!(!action.contains('*'), "{}: {action}", function.name);
            let service = action.split(':').next().unwrap();
            let expected = match resource.as_str() {
                "Table" => "dynamodb",
                "*" => "sns",
                _ => "secretsmanager",
            };
            assert_eq!(service, expected, "{}: {action} on {resource}", function.name);
        }
    }
    assert!(TEMPLATE.function("health").unwrap().permissions.is_empty());
}

#[test]
fn whoever_sends_messages_sends_to_phones_alone() {
    let publish = |resource: &str| Permission { action: "sns:Publish".to_owned(), resource: resource.to_owned() };
    for function in &TEMPLATE.functions {
        let sends = function.permissions.contains(&publish("*"));
        let denied = if sends { BTreeSet::from([publish("arn:aws:sns:*:*:*")]) } else { BTreeSet::new() };
        assert_eq!(function.denials, denied, "{}: topics have ARNs, phones have none", function.name);
    }
}

/// A function that knows the provider sets up an HTTP client for it when it starts, which others need not wait for.
#[test]
fn the_provider_of_messages_is_told_to_those_that_send_and_to_no_other() {
    for function in &TEMPLATE.functions {
        let sends = function.permissions.iter().any(|permission| permission.action == "sns:Publish");
        assert_eq!(function.environment.contains_key("SMS_PROVIDER"), sends, "{}", function.name);
    }
}

#[test]
fn every_function_is_told_of_the_secrets_that_it_may_read_and_of_no_other() {
    for function in &TEMPLATE.functions {
        let secrets = |name: &&String| TEMPLATE.secrets.iter().any(|secret| secret.name == **name);
        let told: BTreeSet<_> = function.environment.values().filter(secrets).collect();
        let read =
            function.permissions.iter().filter(|permission| permission.action == "secretsmanager:GetSecretValue");
        let read: BTreeSet<_> = read.map(|permission| &permission.resource).collect();
        assert_eq!(told, read, "told of (left) and may read (right): {}", function.name);
    }
}

/// `Function::permissions` is all that a function may do: nothing else in the template gives its role anything.
#[test]
fn nothing_is_granted_but_by_the_functions_policies() {
    let resources = TEMPLATE.source["Resources"].as_mapping().unwrap();
    let is_function = |resource: &Value| resource["Type"] == "AWS::Serverless::Function";
    for (name, resource) in resources {
        let (name, properties) = (name.as_str().unwrap(), &resource["Properties"]);
        let type_ = resource["Type"].as_str().unwrap();
        assert!(!type_.starts_with("AWS::IAM::") || type_ == "AWS::IAM::ManagedPolicy", "{name} is {type_}");
        assert_ne!(type_, "AWS::Serverless::Connector", "{name}");
        if is_function(resource) {
            assert!(resource.get("Connectors").is_none() && properties.get("Role").is_none(), "{name}");
        }
        if type_ == "AWS::IAM::ManagedPolicy" {
            for attached in ["Roles", "Users", "Groups"] {
                assert!(properties.get(attached).is_none(), "{name} is attached where functions do not say so");
            }
            let refers = |policy: &Value| matches!(policy, Value::Tagged(tagged) if tagged.value == name);
            let mut policies = resources
                .values()
                .filter(|resource| is_function(resource))
                .flat_map(|function| function["Properties"]["Policies"].as_sequence().into_iter().flatten());
            assert!(policies.any(refers), "no function has {name}");
        }
    }
    let globals = TEMPLATE.source["Globals"]["Function"].as_mapping().unwrap();
    assert!(!globals.contains_key("Role") && !globals.contains_key("Policies"));
}
