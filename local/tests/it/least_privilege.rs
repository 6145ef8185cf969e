//! Granted is used, and used is granted: for every function, both ways.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata,
    types::{AttributeValue, Delete, Put, TransactWriteItem, Update},
};
use local::template::{Function, Partitions, Permission};
use serde_json::json;
use serde_norway::Value;

use crate::{
    events,
    harness::{
        LONG, NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, Person, RESET_PASSWORD, TEMPLATE, THIRD_PHONE, World,
        another_code, code_in,
    },
    sms::Provider,
};

/// What a webhook knows us by.
const CREDENTIALS: &str = r#"{"secret": "whsec_YSBzZWNyZXQga2V5IG9mIGEgdGVzdCdzIHdlYmhvb2s="}"#;

/// Changes the phone with a code that no provider sent: a test number has one.
async fn change_in_spite_of(person: &Person) {
    person.change_phone("01000000001").await.expect(202);
    person.change_phone_verify("042424").await.expect(200);
}

/// Activates a registration, where that has to be.
async fn activate_one(world: &World) {
    let newcomer = world.visitor(OTHER_PHONE);
    newcomer.register().await.expect(202);
    newcomer.resend_activation().await.expect(429);
    world.advance(2);
    newcomer.resend_activation().await.expect(202);
    newcomer.activate(&another_code(&newcomer.code())).await.expect(400);
    let body = json!({"activation_id": newcomer.activation_id(), "otp": newcomer.code(), "sign_in": true});
    newcomer.post("/auth/activate", body.clone()).await.expect(201);
    newcomer.post("/auth/activate", body).await.expect(201);
    newcomer.activate(&newcomer.code()).await.expect(201);
}

/// Goes every way of a second factor.
async fn show_a_factor(world: &World) {
    let person = world.person_with_factor().await;
    for (guesser, status) in [(person.with_wrong_code().mistyping(), 403), (person.with_wrong_code(), 400)] {
        guesser.mfa_enroll().await.expect(status);
        guesser.mfa_recovery_codes().await.expect(status);
        guesser.mfa_disable().await.expect(status);
    }
    person.with_code().mfa_enroll().await.expect(200);
    world.advance(30);
    for at in 0..22 {
        person.first_step().await;
        if at == 0 {
            person.with_wrong_code().login_mfa().await.expect(400);
        }
        person.login_mfa().await.expect(200);
        world.advance(30);
    }
    person.with_code().mfa_recovery_codes().await.expect(200);
    person.with_recovery_code(0).mfa_disable().await.expect(200);
    person.sign_in().await;
    person.switch_factor_on().await;
    person.with_wrong_code().delete_account().await.expect(400);
    person.with_code().delete_account().await.expect(204);
    person.with_code().delete_account().await.expect(204);
}

/// Goes every way at whose end the owner of the phone is told something.
async fn tell_the_owner(world: &World, provider: &Provider) {
    let last_code = || {
        let sent = world.emulator.sns().requests().pop().unwrap_or_else(|| provider.last_body());
        code_in(&sent.replace("%20", " ")).expect("a code was sent").to_owned()
    };
    let person = world.signed_in_person().await;
    person.verify_phone().await.expect(202);
    person.confirm_phone(&last_code()).await.expect(204);
    person.switch_factor_on().await;
    person.with_code().mfa_recovery_codes().await.expect(200);
    person.with_recovery_code(0).mfa_enroll().await.expect(200);
    person.first_step().await;
    person.with_recovery_code(1).login_mfa().await.expect(200);
    let laptop = person.on_another_device();
    laptop.first_step().await;
    laptop.with_recovery_code(5).login_mfa().await.expect(200);
    world.advance(700);
    person.with_recovery_code(6).end_session_with_password(&person.other_session().await).await.expect(204);
    person.with_recovery_code(7).change_password(NEW_PASSWORD).await.expect(200);
    person.request_reset().await.expect(202);
    person.with_recovery_code(2).verify_reset(&last_code(), PASSWORD).await.expect(204);
    person.first_step().await;
    person.with_recovery_code(3).login_mfa().await.expect(200);
    person.with_recovery_code(4).mfa_disable().await.expect(200);
    person.sign_in().await;
    person.switch_factor_on().await;
    person.post("/auth/step-up", json!({"recovery_code": person.recovery_codes()[1]})).await.expect(200);
    person.with_recovery_code(0).delete_account().await.expect(204);
    let newcomer = world.visitor(THIRD_PHONE).without_password();
    newcomer.ask_code().await.expect(202);
    world.advance(2);
    newcomer.resend_code().await.expect(202);
    newcomer.verify_code(&last_code()).await.expect(200);
    newcomer.set_password(PASSWORD).await.expect(200);
    world.advance(LONG);
    newcomer.ask_code().await.expect(202);
    newcomer.verify_code(&last_code()).await.expect(403);
    newcomer.start_anew().await.expect(200);
}

/// Lets a notice wait for the phone's next budget.
async fn tell_later(world: &World) {
    let person = world.signed_in_person().await;
    world.verify_the_phone();
    person.change_password(NEW_PASSWORD).await.expect(200);
    person.change_password(PASSWORD).await.expect(200);
    world.advance(86_400);
    assert_eq!(world.invoke("send-notices", json!({})).await.unwrap()["settled"], 1);
}

/// Signs up by a code, signs in by more of them than there is room for sessions, and proves it again.
async fn go_by_code(world: &World) {
    let person = world.visitor(PHONE).without_password();
    for at in 0..22 {
        person.ask_code().await.expect(202);
        if at == 0 {
            person.ask_code().await.expect(429);
            person.verify_code(&another_code(&person.code())).await.expect(400);
            world.advance(1);
            person.resend_code().await.expect(202);
        }
        person.verify_code(&person.code()).await.expect(200);
        person.verify_code(&person.code()).await.expect(200);
        world.advance(2);
    }
    person.ask_code().await.expect(202);
    person.step_up_by_code(&another_code(&person.code())).await.expect(400);
    person.step_up_by_code(&person.code()).await.expect(200);
    person.set_password(PASSWORD).await.expect(200);
    let person = world.visitor(PHONE);
    person.sign_in().await;
    person.mistyping().step_up().await.expect(403);
    person.step_up().await.expect(200);
    // On a known device, and until a code is withheld.
    for _ in 0..21 {
        world.advance(2);
        person.ask_code_with(&person.device_token()).await.expect(202);
        person.resend_code_with(&person.device_token()).await.expect(429);
    }
    world.visitor(OTHER_PHONE).ask_code().await.expect(202);
}

/// Goes every way that asks something of the table.
async fn go_every_way(world: &World) {
    let person = world.visitor(PHONE);
    person.login().await;
    person.register().await.expect(201);
    person.register().await.expect(409);
    person.mistyping().login().await.expect(401);
    person.sign_in().await;
    person.login_as_known().await.expect(200);
    person.me().await.expect(200);
    person.export().await.expect(200);
    let laptop = person.on_another_device().signed_in().await;
    let thief = laptop.with_copied_tokens();
    laptop.refresh().await.expect(200);
    world.advance(60);
    thief.refresh().await.expect(401);
    for _ in 0..26 {
        person.sign_in().await;
    }
    person.end_session(&person.other_session().await).await.expect(204);
    laptop.logout().await.expect(204);
    laptop.logout_by_refresh_token().await.expect(204);
    laptop.revoke(&laptop.access_token()).await.expect(200);
    laptop.revoke(&laptop.refresh_token()).await.expect(200);
    person.logout_all().await.expect(204);
    person.logout_all_by_refresh_token().await.expect(401);
    person.sign_in().await;
    let tablet = person.on_another_device().signed_in().await;
    person.mistyping().change_password(NEW_PASSWORD).await.expect(403);
    person.change_password(NEW_PASSWORD).await.expect(200);
    tablet.refresh().await.expect(401);
    person.verify_phone().await.expect(202);
    person.confirm_phone(&person.code()).await.expect(204);
    world.advance(2);
    person.mistyping().change_phone(THIRD_PHONE).await.expect(403);
    person.move_to(THIRD_PHONE).await;
    let code = person.code_for(PHONE).await;
    person.change_phone_verify(&code).await.expect(200);
    person.change_phone_verify(&code).await.expect(200);
    let code = person.reset_code().await;
    person.request_reset().await.expect(429);
    world.visitor(OTHER_PHONE).request_reset().await.expect(202);
    person.verify_reset(&another_code(&code), RESET_PASSWORD).await.expect(400);
    let body = json!({"phone": PHONE, "otp": code, "new_password": RESET_PASSWORD, "sign_in": true});
    person.on_another_device().post("/auth/verify-reset", body).await.expect(200);
    let person = person.typing(RESET_PASSWORD);
    person.me().await.expect(401);
    for path in ["/docs", "/openapi.json", "/health", "/.well-known/jwks.json", "/.well-known/openid-configuration"] {
        world.get(path).await.expect(200);
    }
    person.sign_in().await;
    let event = json!({"version": "2.0", "headers": {"authorization": format!("Bearer {}", person.access_token())}});
    world.invoke("authorizer", event).await.unwrap();
    world.rotate_keys().await.unwrap();
    world.rotate_secret().await.unwrap();
}

/// Gives numbers to new owners: by each way to ask for a code, with and without a second factor, and back again.
async fn start_anew(world: &World) {
    let owner = world.signed_in_person().await;
    owner.verify_own_phone().await;
    owner.switch_factor_on().await;
    let newcomer = world.visitor(PHONE).without_password();
    newcomer.comes_back_late().await;
    newcomer.start_anew().await.expect(200);
    newcomer.start_anew().await.expect(200);
    owner.mistyping().recover().await.expect(401);
    for at in 0..24 {
        // The first one needs no session to go, the last ones do.
        owner.on_another_device().with_code().recover().await.expect(200);
        world.advance(if at < 20 { 30 } else { 31 });
    }
    // The second time because the response was lost.
    owner.with_code().recover().await.expect(200);
    owner.with_code().recover().await.expect(200);
    owner.export().await.expect(200);
    world.advance(30);
    owner.with_code().move_to(OTHER_PHONE).await;
    // By a reset, whose owner then knows the password.
    let person = world.visitor(THIRD_PHONE).registered().await;
    world.advance(LONG);
    let code = person.reset_code().await;
    person.verify_reset(&code, NEW_PASSWORD).await.expect(403);
    person.mistyping().prove_by_password().await.expect(403);
    person.prove_by_password().await.expect(200);
    person.prove_by_password().await.expect(200);
    // In a session.
    world.advance(LONG);
    person.sign_in().await;
    let code = person.reset_code().await;
    let body = json!({"phone": THIRD_PHONE, "otp": code, "new_password": NEW_PASSWORD});
    person.post("/auth/verify-reset", body).await.expect(204);
    let person = person.typing(NEW_PASSWORD);
    world.advance(LONG);
    person.sign_in().await;
    person.ask_code().await.expect(202);
    person.verify_code_in_session(&person.code()).await.expect(200);
}

#[tokio::test]
async fn every_function_is_granted_what_it_uses_and_nothing_else() {
    let world = World::new();
    go_every_way(&world).await;
    let mut calls = world.calls();
    let world = World::new();
    start_anew(&world).await;
    calls.extend(world.calls());
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    let _ = world.signed_in_person().await;
    world.advance(LONG);
    let newcomer = world.visitor(PHONE);
    newcomer.register().await.expect(202);
    newcomer.activate(&newcomer.code()).await.expect(403);
    newcomer.start_anew().await.expect(200);
    calls.extend(world.calls());
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    activate_one(&world).await;
    calls.extend(world.calls());
    let world = World::new();
    show_a_factor(&world).await;
    calls.extend(world.calls());
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "100")]);
    go_by_code(&world).await;
    calls.extend(world.calls());
    // Each kind of provider has a way of its own.
    let provider = Provider::answering(204, "");
    for variables in
        [[("SMS_PROVIDER", "sns"), ("SMS_API_URL", "")], [("SMS_PROVIDER", "http"), ("SMS_API_URL", &provider.url)]]
    {
        let variables = [&variables[..], &[("SMS_FLOOR_MS", "0"), ("TEST_NUMBERS", "01000000001=042424")]].concat();
        let world = World::with(&variables);
        let person = world.signed_in_person().await;
        person.request_reset().await.expect(202);
        person.verify_phone().await;
        person.change_phone(THIRD_PHONE).await;
        // As if that code had come back: the owner of a phone that is verified is told.
        world.verify_the_phone();
        change_in_spite_of(&person).await;
        calls.extend(world.calls());

        let world = World::with(&[&variables[..], &[("REQUIRE_ACTIVATION", "true")]].concat());
        world.emulator.secrets().lend("SmsCredentials", CREDENTIALS.to_owned());
        let newcomer = world.visitor(PHONE);
        newcomer.register().await.expect(202);
        world.advance(2);
        newcomer.resend_activation().await.expect(202);
        calls.extend(world.calls());

        let world = World::with(&[&variables[..], &[("LIMIT_MESSAGES_PER_PHONE", "100")]].concat());
        world.emulator.secrets().lend("SmsCredentials", CREDENTIALS.to_owned());
        tell_the_owner(&world, &provider).await;
        calls.extend(world.calls());

        let world = World::with(&[&variables[..], &[("LIMIT_MESSAGES_PER_PHONE", "1")]].concat());
        world.emulator.secrets().lend("SmsCredentials", CREDENTIALS.to_owned());
        tell_later(&world).await;
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

/// What every function may write where, tried: alone and as part of a transaction.
#[tokio::test]
async fn keys_and_records_are_written_by_their_writers_alone() {
    const RESERVED: [&str; 3] = ["KEYS", "AUDIT#2026-11", "IMPORT#17"];
    let world = World::new().without_invariants();
    let table = TEMPLATE.table.name.as_str();
    let mut tried = 0;
    for function in &TEMPLATE.functions {
        let client = world.emulator.clients_for(function).dynamodb;
        for verb in ["DeleteItem", "PutItem", "UpdateItem"] {
            let permission = Permission { action: format!("dynamodb:{verb}"), resource: table.to_owned() };
            if !function.permissions.contains(&permission) {
                continue;
            }
            for partition in RESERVED.into_iter().chain(["USER#somebody", "KEYS#other", "LIMIT#of"]) {
                let key = [("pk", partition), ("sk", "some")];
                let key: HashMap<_, _> =
                    key.map(|(name, text)| (name.to_owned(), AttributeValue::S(text.into()))).into();
                let (alone, together) = write(&client, table, verb, key).await;
                let is_writer = function.name == "rotate-keys";
                let may = if is_writer { partition == "KEYS" } else { !RESERVED.contains(&partition) };
                let expected = if may { None } else { Some("AccessDeniedException".to_owned()) };
                assert_eq!(alone, expected, "{} and {verb} on {partition}", function.name);
                assert_eq!(together, expected, "{} and {verb} on {partition} in a transaction", function.name);
                tried += 1;
            }
        }
    }
    assert!(tried >= 6 * 30, "{tried} writes were tried");
}

/// Writes an item with this key, alone and in a transaction: the codes of the errors.
async fn write(
    client: &aws_sdk_dynamodb::Client,
    table: &str,
    verb: &str,
    key: HashMap<String, AttributeValue>,
) -> (Option<String>, Option<String>) {
    let key = Some(key);
    let item = TransactWriteItem::builder();
    let (alone, item) = match verb {
        "DeleteItem" => {
            let part = Delete::builder().table_name(table).set_key(key.clone()).build().unwrap();
            let call = client.delete_item().table_name(table).set_key(key).send().await;
            (call.err().and_then(|error| error.code().map(str::to_owned)), item.delete(part))
        }
        "PutItem" => {
            let part = Put::builder().table_name(table).set_item(key.clone()).build().unwrap();
            let call = client.put_item().table_name(table).set_item(key).send().await;
            (call.err().and_then(|error| error.code().map(str::to_owned)), item.put(part))
        }
        _ => {
            let part = Update::builder().table_name(table).set_key(key.clone()).update_expression("SET a = sk");
            let call = client.update_item().table_name(table).set_key(key).update_expression("SET a = sk").send().await;
            (call.err().and_then(|error| error.code().map(str::to_owned)), item.update(part.build().unwrap()))
        }
    };
    let together = client.transact_write_items().transact_items(item.build()).send().await;
    (alone, together.err().and_then(|error| error.code().map(str::to_owned)))
}

#[test]
fn keys_and_records_are_reserved_for_every_verb_that_writes() {
    const VERBS: [&str; 7] =
        ["BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem", "PartiQLDelete", "PartiQLInsert", "PartiQLUpdate"];
    let on_table =
        |verb: &str| Permission { action: format!("dynamodb:{verb}"), resource: TEMPLATE.table.name.clone() };
    let keys = BTreeSet::from([Partitions::One("KEYS".to_owned())]);
    for function in &TEMPLATE.functions {
        let writes = VERBS.iter().any(|verb| function.permissions.contains(&on_table(verb)));
        if function.name == "rotate-keys" {
            let only = BTreeMap::from([(on_table("GetItem"), keys.clone()), (on_table("UpdateItem"), keys.clone())]);
            assert_eq!(function.only_partitions, only);
        } else if writes {
            for verb in VERBS {
                for partition in ["KEYS", "AUDIT#2026-11", "IMPORT#17"] {
                    assert!(!function.may(&on_table(verb), Some(partition)), "{}: {verb} {partition}", function.name);
                    let denied = function.denied_partitions.get(&on_table(verb)).into_iter().flatten();
                    assert!(
                        denied.clone().any(|denied| denied.has(partition)),
                        "{}: {verb} {partition}",
                        function.name
                    );
                }
            }
        } else {
            assert!(function.denied_partitions.is_empty(), "{} writes nothing", function.name);
        }
    }
    assert_eq!(TEMPLATE.function("jwks").unwrap().only_partitions, BTreeMap::from([(on_table("GetItem"), keys)]));
}

#[test]
fn private_keys_are_for_those_that_sign_and_for_their_rotation_alone() {
    const SIGNERS: [&str; 16] = [
        "activate",
        "change-password",
        "change-phone-verify",
        "code-verify",
        "login",
        "login-mfa",
        "mfa-confirm",
        "mfa-disable",
        "mfa-recovery-codes",
        "recover",
        "refresh",
        "rotate-keys",
        "set-password",
        "start-anew",
        "step-up",
        "verify-reset",
    ];
    const SENDERS: [&str; 21] = [
        "change-password",
        "change-phone",
        "change-phone-verify",
        "code",
        "code-resend",
        "login-mfa",
        "me-delete",
        "mfa-confirm",
        "mfa-disable",
        "mfa-enroll",
        "mfa-recovery-codes",
        "register",
        "request-reset",
        "resend-activation",
        "send-notices",
        "sessions-delete",
        "set-password",
        "start-anew",
        "step-up",
        "verify-phone",
        "verify-reset",
    ];
    let readers = |secret: &str| -> Vec<_> {
        let reads = |function: &&Arc<Function>| {
            function
                .permissions
                .iter()
                .any(|permission| permission.action == "secretsmanager:GetSecretValue" && permission.resource == secret)
        };
        let mut names: Vec<_> = TEMPLATE.functions.iter().filter(reads).map(|f| f.name.as_str()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(readers("SigningKeys"), SIGNERS);
    assert_eq!(readers("SmsCredentials"), SENDERS);
    assert_eq!(
        readers("SecretKey"),
        [
            "activate",
            "change-password",
            "change-phone",
            "change-phone-verify",
            "code",
            "code-resend",
            "code-verify",
            "login",
            "login-mfa",
            "logout",
            "logout-all",
            "me-delete",
            "me-export",
            "mfa-confirm",
            "mfa-disable",
            "mfa-enroll",
            "mfa-recovery-codes",
            "recover",
            "refresh",
            "register",
            "request-reset",
            "resend-activation",
            "revoke",
            "rotate-secret",
            "send-notices",
            "sessions-delete",
            "set-password",
            "start-anew",
            "step-up",
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
        let denied = if sends { BTreeSet::from([publish("arn:${AWS::Partition}:sns:*:*:*")]) } else { BTreeSet::new() };
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
