//! What must say the same in several places, held to `template.yaml` (docs/design.md#layout-and-names).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use latchkey::{config::Config, http::problem::ProblemKind, messages::Provider, store};
use local::{
    data_folder, registry,
    template::{Function, Route},
};
use serde_json::Value;
use serde_norway::Value as Yaml;

use crate::harness::{TEMPLATE, World, file, root};

type Names = BTreeSet<String>;

fn template_functions() -> Names {
    TEMPLATE.functions.iter().map(|function| function.name.clone()).collect()
}

/// `POST /auth/login` and the like, with the function behind each. Those of HEAD are left out, because each is a GET's
/// shadow.
fn template_routes() -> BTreeMap<String, String> {
    all_routes().into_iter().filter(|(route, _)| !route.starts_with("HEAD ")).collect()
}

fn all_routes() -> BTreeMap<String, String> {
    let routes = |function: &Arc<Function>| {
        let name = function.name.clone();
        function
            .routes
            .clone()
            .into_iter()
            .map(move |Route { method, path }| (format!("{method} {path}"), name.clone()))
    };
    TEMPLATE.functions.iter().flat_map(routes).collect()
}

fn folder(path: &str) -> Names {
    let entries = std::fs::read_dir(root().join(path)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The rows of a Markdown table below a heading whose first cell is code: each row's cells.
pub(crate) fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let text = file(document);
    let (_, section) = text.split_once(heading).unwrap_or_else(|| panic!("{document} has no `{heading}`"));
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect()).collect()
}

/// Returns the value of a condition of the template under these parameters.
pub(crate) fn holds(condition: &Yaml, parameters: &[(&str, &str)]) -> bool {
    let value = |value: &Yaml| match value {
        Yaml::Tagged(reference) => {
            let name = reference.value.as_str().unwrap();
            let given = parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            given.unwrap_or_else(|| text(&TEMPLATE.source["Parameters"][name]["Default"]))
        }
        literal => text(literal),
    };
    let Yaml::Tagged(function) = condition else { panic!("a condition is a function") };
    let operands = function.value.as_sequence().unwrap();
    match function.tag.to_string().as_str() {
        "!Equals" => value(&operands[0]) == value(&operands[1]),
        "!Not" => !holds(&operands[0], parameters),
        "!And" => operands.iter().all(|one| holds(one, parameters)),
        "!Or" => operands.iter().any(|one| holds(one, parameters)),
        other => panic!("{other} is not read here"),
    }
}

/// Returns a text or a number as a text.
pub(crate) fn text(value: &Yaml) -> String {
    match value {
        Yaml::String(text) => text.clone(),
        Yaml::Number(number) => number.to_string(),
        other => panic!("{other:?} is no text"),
    }
}

#[test]
fn folders_packages_binaries_events_and_registry_are_the_templates_functions() {
    let functions = template_functions();
    assert_eq!(folder("functions"), functions);
    let registered: Names = registry::functions().map(|(name, _)| name.replace('_', "-")).collect();
    assert_eq!(registered, functions);
    assert_eq!(registry::functions().count(), functions.len(), "no function is listed twice");
    let mut events: Names = functions.iter().map(|name| format!("{name}.json")).collect();
    events.insert("answers.json".to_owned());
    assert_eq!(folder("events"), events);
    for name in &functions {
        let manifest = file(&format!("functions/{name}/Cargo.toml"));
        // Once as the package, once as the binary.
        assert_eq!(manifest.matches(&format!("name = \"{name}\"")).count(), 2, "{name}");
        assert!(file(&format!("functions/{name}/src/main.rs")).lines().count() <= 3, "{name}: main.rs only starts");
    }
}

#[test]
fn functions_are_named_by_their_routes() {
    for (route, name) in template_routes() {
        let (_, path) = route.split_once(' ').unwrap();
        let by_path: Vec<_> = path
            .trim_start_matches("/auth/")
            .split('/')
            .filter(|part| !part.is_empty() && !part.starts_with(['{', '.']))
            .collect();
        let by_path = by_path.join("-");
        // Where a standard puts a file.
        let by_path = by_path.trim_end_matches(".json").to_owned();
        // The same document, by another standard.
        let by_path = by_path.replace("oauth-authorization-server", "openid-configuration");
        let is_docs = name == "docs" && (by_path == "docs" || by_path == "openapi");
        let has_verb = name.strip_prefix(&by_path).is_some_and(|verb| verb.is_empty() || verb.starts_with('-'));
        assert!(is_docs || has_verb, "{route} is served by {name}");
    }
    for function in &TEMPLATE.functions {
        let words = function.name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
        assert_eq!(function.logical_id, format!("{}Function", words.collect::<String>()));
    }
}

/// RFC 9110 section 9.1: a server supports GET and HEAD.
#[test]
fn head_is_served_wherever_get_is() {
    let of = |method: &str| -> BTreeMap<_, _> {
        let routes = all_routes().into_iter();
        routes.filter_map(|(route, name)| Some((route.strip_prefix(method)?.to_owned(), name))).collect()
    };
    assert_eq!(of("HEAD "), of("GET "));
}

#[test]
fn the_function_for_unmatched_requests_knows_every_route() {
    let known: Vec<_> = unmatched::ROUTES.iter().map(|route| (*route).to_owned()).collect();
    assert_eq!(known.iter().cloned().collect::<Names>(), template_routes().into_keys().collect());
    assert_eq!(known.len(), template_routes().len(), "no route is listed twice");
    let default: Vec<_> = TEMPLATE.functions.iter().filter(|f| f.is_default).map(|f| f.name.as_str()).collect();
    assert_eq!(default, ["unmatched"]);
}

#[test]
fn the_documented_endpoints_are_the_templates_routes() {
    let rows = table("docs/endpoints.md", "# Endpoints");
    let documented: BTreeMap<_, _> = rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let mut routes = template_routes();
    routes.remove("GET /docs/{file}"); // a part of the page
    assert_eq!(documented, routes);
}

#[tokio::test]
async fn the_openapi_operations_are_the_templates_routes_and_named_by_their_functions() {
    let description = World::new().get("/openapi.json").await.expect(200).body;
    let mut described = BTreeMap::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            described.insert(format!("{} {path}", method.to_uppercase()), id);
        }
    }
    let ids: Names = described.values().cloned().collect();
    assert_eq!(ids.len(), described.len(), "each operation has a name of its own");
    // A second route to the same function appends what it is for to the function's name.
    for (route, suffix) in
        [("POST /auth/me/delete", "-post"), ("GET /.well-known/oauth-authorization-server", "-oauth")]
    {
        let id = described.get_mut(route).unwrap();
        *id = id.strip_suffix(suffix).unwrap().to_owned();
    }
    let routes = template_routes().into_iter().filter(|(_, name)| name != "docs");
    assert_eq!(described, routes.collect());
}

#[test]
fn cargo_lambda_watch_routes_as_the_template_does() {
    let configuration = data_folder::watch_routes(&TEMPLATE);
    let (_, routes) = configuration.split_once("[watch.router]\n").unwrap();
    let mut watched = BTreeMap::new();
    for line in routes.lines() {
        let quoted: Vec<_> = line.split('"').skip(1).step_by(2).collect();
        let (path, endpoints) = quoted.split_first().unwrap();
        for endpoint in endpoints.chunks(2) {
            let [method, function] = endpoint else { panic!("{line}") };
            watched.insert(format!("{method} {path}"), (*function).to_owned());
        }
    }
    assert_eq!(watched, all_routes());
}

#[test]
fn the_tables_key_and_ttl_are_those_of_the_code() {
    let keys: Vec<_> = TEMPLATE.table.keys.iter().map(|(name, type_)| (name.as_str(), type_.as_str())).collect();
    assert_eq!(keys, [(store::PARTITION_KEY, "S"), (store::SORT_KEY, "S")]);
    assert_eq!(TEMPLATE.table.ttl_attribute, store::TTL_ATTRIBUTE);
    let table = &TEMPLATE.source["Resources"]["Table"];
    for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
        assert_eq!(table[policy], "Retain");
    }
    let properties = &table["Properties"];
    assert_eq!(properties["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(properties["DeletionProtectionEnabled"], true);
    assert_eq!(properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
}

#[test]
fn every_variable_is_read_set_and_documented() {
    let read: Names = Config::variable_names().into_iter().map(str::to_owned).collect();
    let variables = TEMPLATE.functions.iter().flat_map(|function| function.environment.keys().cloned());
    let mut set: Names = variables.collect();
    // The runtime reads these, not `Config`.
    let others = ["RUST_LOG", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER"];
    assert!(others.iter().all(|name| set.remove(*name)));
    assert_eq!(set, read);
    let documented: Names =
        table("docs/configuration.md", "## Variables").into_iter().map(|row| row[0].clone()).collect();
    set.extend(others.map(str::to_owned));
    assert_eq!(documented, set);
}

#[test]
fn the_documented_defaults_are_the_templates() {
    let environment: BTreeMap<_, _> = TEMPLATE.functions.iter().flat_map(|function| &function.environment).collect();
    for row in table("docs/configuration.md", "## Variables") {
        let (name, default) = (&row[0], &row[1]);
        // What the stack itself makes has no value before there is one.
        let is_made = ["TABLE_NAME", "API_URL", "METRICS_NAMESPACE"].contains(&name.as_str()) || name.ends_with("_ARN");
        if let Some(value) = environment.get(name).filter(|value| !value.is_empty() && !is_made) {
            assert_eq!(default, *value, "{name}");
        }
    }
}

#[test]
fn every_parameter_of_the_template_is_documented() {
    let text = file("docs/configuration.md");
    let (_, section) = text.split_once("## Parameters of the template").unwrap();
    let documented: Names = section.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let parameters = TEMPLATE.source["Parameters"].as_mapping().unwrap().keys();
    assert_eq!(documented, parameters.map(|name| name.as_str().unwrap().to_owned()).collect());
}

/// What operators' commands are told by the stack is what its functions are told.
#[test]
fn operators_have_the_settings_of_the_functions() {
    let Yaml::Tagged(output) = &TEMPLATE.source["Outputs"]["OperatorEnvironment"]["Value"] else { panic!("a !Sub") };
    let (lines, sources) = (output.value[0].as_str().unwrap(), &output.value[1]);
    assert!(lines.lines().count() > 5);
    let functions = TEMPLATE.functions.iter().map(|function| &TEMPLATE.source["Resources"][&function.logical_id]);
    let environments = functions.map(|function| &function["Properties"]["Environment"]);
    let environments = environments.chain([&TEMPLATE.source["Globals"]["Function"]["Environment"]]);
    let variables: Vec<_> = environments.filter_map(|env| env["Variables"].as_mapping()).flatten().collect();
    for line in lines.lines() {
        let setting = line.strip_suffix("}\"").and_then(|line| line.split_once("=\"${"));
        let (name, source) = setting.unwrap_or_else(|| panic!("{line} is not as a shell reads it"));
        let reference = serde_norway::from_str(&format!("!Ref {source}")).unwrap();
        let value = sources.get(source).unwrap_or(&reference);
        assert!(variables.contains(&(&name.into(), value)), "no function has this {name}");
    }
}

/// A secret has a price. It is there for the providers whose functions read it.
#[test]
fn credentials_are_kept_for_the_providers_that_need_any() {
    let condition = &TEMPLATE.source["Conditions"]["NeedsSmsCredentials"];
    let providers = TEMPLATE.source["Parameters"]["SmsProvider"]["AllowedValues"].as_sequence().unwrap();
    let known = [Provider::Log, Provider::Sns, Provider::Twilio, Provider::Vonage, Provider::Http];
    assert_eq!(providers.len(), known.len());
    for (name, provider) in providers.iter().map(text).zip(known) {
        assert_eq!(name, format!("{provider:?}").to_lowercase());
        assert_eq!(holds(condition, &[("SmsProvider", &name)]), provider.needs_credentials(), "{name}");
    }
    assert_eq!(TEMPLATE.source["Resources"]["SmsCredentials"]["Condition"], "NeedsSmsCredentials");
}

#[test]
fn every_route_that_hashes_or_sends_has_a_rate_of_its_own() {
    let settings = &TEMPLATE.source["Resources"]["HttpApi"]["Properties"]["RouteSettings"];
    let limited: Names = settings.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap().to_owned()).collect();
    let writes = |route: &String| ["POST ", "PUT ", "PATCH "].iter().any(|method| route.starts_with(method));
    let is_documentation =
        |route: &String| ["/docs", "/docs/{file}", "/openapi.json"].iter().any(|path| route.ends_with(path));
    let costs = |route: &String| writes(route) || route.starts_with("DELETE ") || is_documentation(route);
    assert_eq!(limited, all_routes().into_keys().filter(costs).collect());
}

#[test]
fn no_secret_is_written_into_the_template() {
    for function in &TEMPLATE.functions {
        for (name, value) in &function.environment {
            // Where a secret is, is no secret; nor are a password's rules, or the public half of a key.
            let is_secret = ["SECRET", "KEY", "PASSWORD_", "PEPPER"].iter().any(|word| name.contains(word));
            let is_setting = name.starts_with("AWS_ENDPOINT_URL_")
                || name.ends_with("_PUBLIC_KEY")
                || name.starts_with("PASSWORD_MIN")
                || name.starts_with("PASSWORD_BLOCKLIST");
            let is_reference = name.ends_with("_ARN") && TEMPLATE.secrets.iter().any(|secret| secret.name == *value);
            assert!(!is_secret || is_setting || is_reference, "{} has a literal {name}", function.name);
        }
    }
}

#[test]
fn every_problem_is_documented_with_its_status() {
    let documented: BTreeMap<_, _> = table("docs/problems.md", "# Problems")
        .into_iter()
        .map(|row| {
            let (code, anchor) = row[0].split_once(' ').unwrap();
            assert_eq!(anchor, format!("<a id=\"{code}\"></a>"), "problems.md#{code} leads here");
            (code.to_owned(), row[1].clone())
        })
        .collect();
    let known: BTreeMap<_, _> =
        ProblemKind::ALL.iter().map(|kind| (kind.code().to_owned(), kind.status().as_u16().to_string())).collect();
    assert_eq!(documented, known);
}

#[test]
fn every_problem_of_the_openapi_description_exists() {
    let description = docs::description();
    let description: Value = serde_json::from_str(description).unwrap();
    let mut found = Names::new();
    for operations in description["paths"].as_object().unwrap().values() {
        for operation in operations.as_object().unwrap().values() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let shared = response["$ref"].as_str().and_then(|name| description.pointer(name.strip_prefix('#')?));
                let text = shared.unwrap_or(response)["description"].as_str().unwrap();
                for code in text.split(" · ").filter_map(|part| part.strip_prefix('`')?.split_once("`: ")) {
                    let kind = ProblemKind::ALL.iter().find(|kind| kind.code() == code.0);
                    let kind = kind.unwrap_or_else(|| panic!("{} is no problem", code.0));
                    assert_eq!((kind.status().as_str(), kind.title()), (status.as_str(), code.1));
                    found.insert(code.0.to_owned());
                }
            }
        }
    }
    // What no endpoint answers, but the gateway does, and what every function answers to nobody's client.
    let elsewhere = ["method-not-allowed", "past-front"].map(str::to_owned);
    found.extend(elsewhere);
    assert_eq!(found, ProblemKind::ALL.iter().map(|kind| kind.code().to_owned()).collect());
}
