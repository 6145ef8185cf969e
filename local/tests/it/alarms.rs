//! Alarms: what each watches is counted when it happens, and what to do about it is documented.

use std::collections::{BTreeMap, BTreeSet};

use latchkey::{log::metrics::Metric, store::Bucket};
use local::emulator::Fault;
use serde_json::{Value, json};
use serde_norway::Value as Yaml;

use crate::{
    contract::{holds, table, text},
    harness::{NEW_PASSWORD, PHONE, RESET_PASSWORD, TEMPLATE, World, another_code, file},
};

/// A metric, or one of its dimension's values: `RefreshGraceUses Client=other`.
type Names = BTreeSet<String>;

fn alarms() -> BTreeMap<String, Yaml> {
    let template: Yaml = serde_norway::from_str(&file("alarms.yaml")).unwrap();
    let resources = template["Resources"].as_mapping().unwrap();
    resources.iter().map(|(name, alarm)| (name.as_str().unwrap().to_owned(), alarm["Properties"].clone())).collect()
}

/// The metrics that an alarm watches: its only one, or those that it computes with.
fn watched(alarm: &Yaml) -> Vec<&Yaml> {
    match alarm["Metrics"].as_sequence() {
        Some(metrics) => metrics.iter().map(|one| &one["MetricStat"]["Metric"]).filter(|one| !one.is_null()).collect(),
        None => vec![alarm],
    }
}

fn is_ours(metric: &Yaml) -> bool {
    matches!(&metric["Namespace"], Yaml::Tagged(namespace) if namespace.value == "Namespace")
}

fn watched_by_name(alarm: &Yaml) -> Names {
    let ours = watched(alarm).into_iter().filter(|metric| is_ours(metric));
    ours.map(|metric| {
        let name = metric["MetricName"].as_str().unwrap();
        let dimensions = metric["Dimensions"].as_sequence().into_iter().flatten();
        let dimensions =
            dimensions.map(|one| format!(" {}={}", one["Name"].as_str().unwrap(), one["Value"].as_str().unwrap()));
        format!("{name}{}", dimensions.collect::<String>())
    })
    .collect()
}

/// The counts of a world since they were last taken, in total and by dimension, as CloudWatch has them.
fn counted(world: &World) -> Names {
    let of = |line: &Value| {
        let metric = &line["_aws"]["CloudWatchMetrics"][0];
        let name = metric["Metrics"][0]["Name"].as_str().unwrap().to_owned();
        assert_eq!(metric["Dimensions"][0], json!([]), "in total");
        let by = metric["Dimensions"][1][0].as_str().map(|dimension| {
            let value = line[dimension].as_str().unwrap();
            format!("{name} {dimension}={value}")
        });
        by.into_iter().chain([name])
    };
    world.metrics.take().iter().flat_map(of).collect()
}

/// Wherever wrong guesses lead to a lock, it rings, and a limit of another kind does not.
#[tokio::test(start_paused = true)]
async fn a_lock_is_counted_as_one_and_other_limits_are_not() {
    let world = guessed_at().await;
    let mut buckets = BTreeMap::new();
    for line in world.metrics.take() {
        for metric in ["LockOuts", "LimitsReached"].into_iter().filter(|metric| line[metric] == 1) {
            buckets.entry(metric).or_insert_with(Names::new).insert(line["Bucket"].as_str().unwrap().to_owned());
        }
    }
    let locks = Bucket::ALL.iter().filter(|bucket| bucket.is_lock()).map(|bucket| bucket.as_str().to_owned());
    assert_eq!(buckets["LockOuts"], locks.collect());
    assert!(buckets["LimitsReached"].is_disjoint(&buckets["LockOuts"]));
}

/// Messages that go out and come back, and a notice.
async fn messages() -> Names {
    let world = World::new();
    let person = world.person().await;
    person.reset_password(NEW_PASSWORD).await;
    person.sign_in().await;
    person.change_password(RESET_PASSWORD).await.expect(200);
    counted(&world)
}

/// A budget that is used up, and messages that the provider refuses or does not answer.
async fn messages_that_do_not_go_out() -> Names {
    let world = World::with(&[("SMS_PROVIDER", "sns"), ("SMS_FLOOR_MS", "0"), ("LIMIT_MESSAGES_TOTAL", "3")]);
    let person = world.person().await;
    world.emulator.sns().fail_with(Some((400, "InvalidParameter", "no such number")));
    person.request_reset().await.expect(202);
    world.emulator.sns().fail_with(None);
    world.advance(2);
    world.emulator.faults().inject("Publish", Fault::LostReply, 1);
    person.request_reset().await.expect(202);
    for _ in 0..3 {
        world.advance(2);
        person.request_reset().await;
    }
    counted(&world)
}

/// A notice that the provider does not take.
async fn notices_that_wait() -> Names {
    let world = World::with(&[("SMS_PROVIDER", "sns")]);
    let person = world.signed_in_person().await;
    world.verify_the_phone();
    world.emulator.sns().fail_with(Some((400, "Throttling", "too many")));
    person.change_password(RESET_PASSWORD).await.expect(200);
    counted(&world)
}

/// A table that is down, and one that refuses.
async fn faults() -> Names {
    let world = World::new();
    let person = world.person().await;
    for error in ["InternalServerError", "AccessDeniedException"] {
        world.emulator.faults().inject("UpdateItem", Fault::Error(error), 1000);
        let status = person.login().await.status;
        assert!([500, 503].contains(&status));
        world.emulator.faults().clear();
    }
    counted(&world)
}

/// How many registrations the one address of a guesser's world may try.
const REGISTRATIONS: usize = 4;

/// Passwords, codes and second factors that are guessed, and too many registrations.
async fn guessed_at() -> World {
    let world = World::with(&[
        ("LIMIT_MESSAGES_PER_PHONE", "1000"),
        ("LIMIT_MESSAGES_PER_ADDRESS", "1000"),
        ("LIMIT_REGISTER_PER_ADDRESS", &REGISTRATIONS.to_string()),
    ]);
    let person = world.person_with_factor().await;
    for _ in 0..10 {
        person.mistyping().login().await;
        person.mistyping().login_as_known().await;
        person.mistyping().step_up().await;
    }
    world.advance(1000);
    person.first_step().await;
    for _ in 0..20 {
        person.with_wrong_code().login_mfa().await;
    }
    let other = world.person_with_phone("01112345678").await;
    for _ in 0..21 {
        if other.request_reset().await.status == 429 {
            break;
        }
        let code = other.code();
        for _ in 0..5 {
            other.verify_reset(&another_code(&code), RESET_PASSWORD).await;
        }
        world.advance(300);
    }
    for _ in 0..=REGISTRATIONS {
        world.visitor("01112345679").register().await;
    }
    world
}

/// A thief who uses a copied refresh token, and the owner's other tab.
async fn stolen_tokens() -> Names {
    let world = World::new();
    let person = world.signed_in_person().await;
    let thief = person.with_copied_tokens().at("198.51.100.4");
    person.refresh().await.expect(200);
    let late = thief.with_copied_tokens();
    thief.refresh().await;
    world.advance(3600);
    late.refresh().await.expect(401);
    counted(&world)
}

/// A phone that has another owner.
async fn recycled_numbers() -> Names {
    let world = World::new();
    world.person_by_code().await;
    let newcomer = world.visitor(PHONE);
    newcomer.comes_back_late().await;
    newcomer.start_anew().await.expect(200);
    counted(&world)
}

/// Signing keys of which one is removed, and a secret that still has it.
async fn removed_keys() -> Names {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.rotate_keys().await.unwrap();
    // Its function has read the keys, and keeps them for two minutes.
    person.me().await.expect(200);
    let kid = world.jwks().await[0]["kid"].clone();
    world.emulator.faults().inject("PutSecretValue", Fault::Error("InternalServiceError"), 1000);
    world.invoke("rotate-keys", json!({"remove_key": kid})).await.unwrap_err();
    person.me().await.expect(401);
    world.advance(600);
    person.login().await;
    world.emulator.faults().clear();
    counted(&world)
}

#[tokio::test(start_paused = true)]
async fn what_every_alarm_watches_is_counted_when_it_happens() {
    let mut happened = Names::new();
    for names in [
        messages().await,
        messages_that_do_not_go_out().await,
        notices_that_wait().await,
        faults().await,
        counted(&guessed_at().await),
        stolen_tokens().await,
        removed_keys().await,
        recycled_numbers().await,
    ] {
        happened.extend(names);
    }
    let watched: Names = alarms().values().flat_map(watched_by_name).collect();
    let not_counted: Vec<_> = watched.difference(&happened).collect();
    assert!(not_counted.is_empty(), "in alarms, and never counted: {not_counted:?}");
}

#[test]
fn every_metric_has_an_alarm_and_every_alarm_a_metric_that_exists() {
    let watched = alarms().into_values().flat_map(|alarm| watched_by_name(&alarm));
    let watched: Names = watched.map(|name| name.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(watched, Metric::ALL.iter().map(|metric| metric.as_str().to_owned()).collect());
}

#[test]
fn every_alarm_has_a_row_that_says_what_to_do() {
    let rows = table("docs/OPERATIONS.md", "## Metrics and alarms");
    let documented: Names = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(documented, alarms().into_keys().collect());
    for row in rows {
        assert!(row[1].len() > 20 && row[2].len() > 20, "{}: what it means and what to do", row[0]);
    }
}

#[test]
fn every_alarm_tells_the_topic_and_none_rings_for_silence() {
    let topic: Yaml = serde_norway::from_str("!If [HasTopic, [!Ref TopicArn], !Ref AWS::NoValue]").unwrap();
    for (name, alarm) in alarms() {
        assert_eq!(alarm["AlarmActions"], topic, "{name}");
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{name}");
        // CloudWatch evaluates no more than ten metrics in an alarm, and returns one.
        let metrics = alarm["Metrics"].as_sequence().map(Vec::as_slice).unwrap_or_default();
        assert!(metrics.len() <= 10, "{name}");
        let returned = metrics.iter().filter(|metric| metric["ReturnData"] != false);
        assert_eq!(returned.count(), usize::from(!metrics.is_empty()), "{name}");
    }
    let alarms: Yaml = serde_norway::from_str(&file("alarms.yaml")).unwrap();
    let keys = |value: &Yaml| -> Names {
        value.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap().to_owned()).collect()
    };
    let passed = &TEMPLATE.source["Resources"]["Alarms"]["Properties"];
    assert_eq!(passed["TemplateURL"], "alarms.yaml");
    assert_eq!(keys(&passed["Parameters"]), keys(&alarms["Parameters"]));
}

/// Whether everything down is loud: each endpoint that answers 500 or 503 is counted, once.
#[tokio::test]
async fn an_outage_is_counted_once_per_request_and_by_code() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let outage = [("UpdateItem", "login"), ("BatchGetItem", "me"), ("TransactWriteItems", "register")];
    for (operation, endpoint) in outage {
        world.emulator.faults().inject(operation, Fault::Error("InternalServerError"), 1000);
        let status = match endpoint {
            "login" => person.login().await.status,
            "me" => person.me().await.status,
            _ => world.visitor("01112345678").register().await.status,
        };
        assert_eq!(status, 503, "{endpoint}");
        world.emulator.faults().clear();
        let lines = world.metrics.take();
        let faults: Vec<_> = lines.iter().filter(|line| line["Faults"] == 1).collect();
        assert_eq!(faults.len(), 1, "{endpoint}");
        assert_eq!(faults[0]["Code"], "temporarily-unavailable");
    }
    // What the client did wrong is no fault of ours.
    person.mistyping().login().await.expect(401);
    assert!(!counted(&world).contains("Faults"));
}

#[test]
fn production_is_refused_without_somebody_to_tell() {
    let rule = &TEMPLATE.source["Rules"]["Production"];
    let refusals = |parameters: &[(&str, &str)]| -> Vec<String> {
        assert!(holds(&rule["RuleCondition"], parameters));
        let assertions = rule["Assertions"].as_sequence().unwrap().iter();
        let failed = assertions.filter(|assertion| !holds(&assertion["Assert"], parameters));
        failed.map(|assertion| text(&assertion["AssertDescription"])).collect()
    };
    let mut prod = vec![("Environment", "prod"), ("SmsProvider", "sns"), ("PhoneAllowedCountries", "EG")];
    let refused = refusals(&prod);
    assert!(refused.len() == 1 && refused[0].starts_with("AlarmTopicArn must"), "{refused:?}");
    prod.push(("AlarmTopicArn", "arn:aws:sns:eu-west-1:123456789012:alarms"));
    assert_eq!(refusals(&prod), Vec::<String>::new());
    assert!(!holds(&rule["RuleCondition"], &[]), "a development stack needs none");
}

#[test]
fn the_documentation_is_served_except_in_production_unless_it_is_said_otherwise() {
    let condition = &TEMPLATE.source["Conditions"]["ServesDocs"];
    for (environment, enabled, served) in [
        ("dev", "", true),
        ("dev", "true", true),
        ("dev", "false", false),
        ("staging", "", true),
        ("staging", "false", false),
        ("prod", "", false),
        ("prod", "true", true),
        ("prod", "false", false),
    ] {
        let parameters = [("Environment", environment), ("DocsEnabled", enabled)];
        assert_eq!(holds(condition, &parameters), served, "{environment} {enabled}");
    }
    let resources = &TEMPLATE.source["Resources"];
    assert_eq!(resources["DocsFunction"]["Condition"], "ServesDocs");
    // API Gateway refuses a rate for a route that does not exist.
    let rates = &resources["HttpApi"]["Properties"]["RouteSettings"];
    for route in
        TEMPLATE.function("docs").unwrap().routes.iter().map(|route| format!("{} {}", route.method, route.path))
    {
        let Yaml::Tagged(rate) = &rates[&route] else { panic!("{route} has a rate in any case") };
        assert_eq!((rate.tag.to_string().as_str(), &rate.value[0]), ("!If", &"ServesDocs".into()), "{route}");
    }
}

#[test]
fn logs_outlive_the_stack_and_a_key_of_the_operator_encrypts_all_that_is_kept() {
    let resources = &TEMPLATE.source["Resources"];
    for log in ["LogGroup", "AccessLogGroup"] {
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            assert_eq!(resources[log][policy], "Retain", "{log}");
        }
    }
    let key: Yaml = serde_norway::from_str("!If [HasKmsKey, !Ref KmsKeyArn, !Ref AWS::NoValue]").unwrap();
    let kept = resources.as_mapping().unwrap().iter().filter(|(_, resource)| {
        ["AWS::Logs::LogGroup", "AWS::SecretsManager::Secret"].iter().any(|kept| resource["Type"] == *kept)
    });
    let mut count = 0;
    for (name, resource) in kept {
        assert_eq!(resource["Properties"]["KmsKeyId"], key, "{name:?}");
        count += 1;
    }
    assert_eq!(count, 2 + TEMPLATE.secrets.len());
    let encryption = &resources["Table"]["Properties"]["SSESpecification"];
    let expected =
        "!If [HasKmsKey, {SSEEnabled: true, SSEType: KMS, KMSMasterKeyId: !Ref KmsKeyArn}, {SSEEnabled: false}]";
    assert_eq!(*encryption, serde_norway::from_str::<Yaml>(expected).unwrap());
}

/// A new account has ten sandboxes in all and may reserve none, so that a reservation would fail its first deployment.
#[test]
fn ceilings_are_parameters_and_those_that_a_new_account_cannot_afford_are_off() {
    let parameters = &TEMPLATE.source["Parameters"];
    for name in ["SignInConcurrency", "CostlyConcurrency"] {
        assert_eq!(parameters[name]["Default"], 0, "{name}");
    }
    let resources = &TEMPLATE.source["Resources"];
    let reserved = |condition: &str| -> Names {
        let functions = TEMPLATE.functions.iter();
        let has = functions.filter(|function| {
            let reserved = &resources[&function.logical_id]["Properties"]["ReservedConcurrentExecutions"];
            matches!(reserved, Yaml::Tagged(choice) if choice.value[0] == condition)
        });
        has.map(|function| function.name.clone()).collect()
    };
    assert_eq!(reserved("ReservesSignIn"), ["login", "login-mfa", "refresh", "me"].map(str::to_owned).into());
    let costly = [
        "register",
        "activate",
        "resend-activation",
        "code",
        "code-resend",
        "request-reset",
        "verify-reset",
        "start-anew",
        "recover",
        "docs",
    ];
    assert_eq!(reserved("LimitsCostly"), costly.map(str::to_owned).into());
    for condition in ["ReservesSignIn", "LimitsCostly"] {
        assert!(!holds(&TEMPLATE.source["Conditions"][condition], &[]), "{condition}");
    }
    let throughput = &resources["Table"]["Properties"]["OnDemandThroughput"];
    for (unit, parameter) in [("MaxReadRequestUnits", "TableReads"), ("MaxWriteRequestUnits", "TableWrites")] {
        assert!(matches!(&throughput[unit], Yaml::Tagged(reference) if reference.value == parameter), "{unit}");
        // What an account may have per table without asking.
        let default = parameters[parameter]["Default"].as_u64().unwrap();
        assert!((1..=40_000).contains(&default));
    }
}
