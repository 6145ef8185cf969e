//! Reads `template.yaml` for the dev server and the contract tests: functions with their routes, environment and
//! permissions, the table, and the secrets.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use serde_norway::Value;

/// The resources that the template describes.
#[derive(Debug)]
pub struct Template {
    /// Every Lambda function.
    pub functions: Vec<Arc<Function>>,
    /// The only table.
    pub table: Table,
    /// Every secret that CloudFormation creates.
    pub secrets: Vec<GeneratedSecret>,
    /// Every rotation of a secret by a function.
    pub rotations: Vec<Rotation>,
    /// The template as it is written, for tests that check parts that are not read here.
    pub source: Value,
}

/// A Lambda function.
#[derive(Clone, Debug)]
pub struct Function {
    /// The name of its binary: `BuildProperties.Binary`.
    pub name: String,
    /// The function's name in the template.
    pub logical_id: String,
    /// The routes that call it.
    pub routes: Vec<Route>,
    /// Whether the requests that match no route call it: API Gateway's route `$default`.
    pub is_default: bool,
    /// Its environment, including the common one.
    pub environment: BTreeMap<String, String>,
    /// The permissions that its role allows, by its own policies and by the managed policies that it refers to.
    pub permissions: BTreeSet<Permission>,
    /// The permissions that its role denies, even if they are allowed. Resources that are not ours are written as in
    /// the template.
    pub denials: BTreeSet<Permission>,
    /// The partitions of the table that some of `permissions` are limited to.
    pub only_partitions: BTreeMap<Permission, BTreeSet<Partitions>>,
    /// The partitions of the table for which a permission is denied, even if it is allowed.
    pub denied_partitions: BTreeMap<Permission, BTreeSet<Partitions>>,
}

/// A pattern of partition keys: one value of a condition on `dynamodb:LeadingKeys`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partitions {
    /// The partition with this key.
    One(String),
    /// Every partition whose key begins with this text: `TEXT*`.
    From(String),
}

/// A permission that a role allows or denies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The action, such as `dynamodb:UpdateItem`.
    pub action: String,
    /// The resource, by its name in the template.
    pub resource: String,
}

/// A secret that CloudFormation creates (`GenerateSecretString`).
#[derive(Clone, Debug)]
pub struct GeneratedSecret {
    /// The value of `Ref` here: the name in the template.
    pub name: String,
    /// The length of the text in characters.
    pub length: usize,
    /// The member of a JSON object that holds the text; `None` if the text is the whole secret.
    pub key: Option<String>,
}

/// A rotation of a secret by a function.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The secret, by its name in the template.
    pub secret: String,
    /// The function that rotates it, by the name of its binary.
    pub function: String,
    /// The number of days between rotations.
    pub after_days: u32,
}

/// A method and a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The method, such as `POST`.
    pub method: String,
    /// The path, such as `/auth/sessions/{id}`.
    pub path: String,
}

/// The table and its keys.
#[derive(Clone, Debug)]
pub struct Table {
    /// The value of `Ref` here: the name in the template.
    pub name: String,
    /// The names and types of the key's attributes, the partition key first.
    pub keys: Vec<(String, String)>,
    /// The attribute that TTL reads.
    pub ttl_attribute: String,
}

/// A reason for which the dev server cannot read the template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file does not exist or cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not YAML.
    #[error("template.yaml is not YAML: {0}")]
    NotYaml(#[from] serde_norway::Error),
    /// The file is YAML, but a part is missing or wrong.
    #[error("template.yaml: {at} {problem}")]
    Wrong {
        /// The place in the template.
        at: String,
        /// The problem there.
        problem: &'static str,
    },
}

fn wrong(at: impl Into<String>, problem: &'static str) -> TemplateError {
    TemplateError::Wrong { at: at.into(), problem }
}

impl Template {
    /// Reads a template from a file.
    pub fn load(path: &Path) -> Result<Self, TemplateError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TemplateError::Unreadable { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    /// Reads a template from its text.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let source: Value = serde_norway::from_str(text)?;
        let resources = member(&source, "Resources").and_then(Value::as_mapping);
        let resources = resources.ok_or_else(|| wrong("Resources", "is missing"))?;
        let of_type = |wanted: &'static str| {
            let named = resources.iter().filter_map(|(name, resource)| Some((name.as_str()?, resource)));
            named.filter(move |(_, resource)| text_at(resource, &["Type"]).as_deref() == Some(wanted))
        };

        let (id, table) = of_type("AWS::DynamoDB::Table").next().ok_or_else(|| wrong("Resources", "has no table"))?;
        let table = Table::read(id, table)?;
        let references = References { source: &source, table: &table.name };
        let functions: Vec<_> = of_type("AWS::Serverless::Function")
            .map(|(id, function)| Function::read(id, function, &references).map(Arc::new))
            .collect::<Result<_, _>>()?;
        if functions.is_empty() {
            return Err(wrong("Resources", "has no function"));
        }
        let secrets = of_type("AWS::SecretsManager::Secret").map(|(id, secret)| GeneratedSecret::read(id, secret));
        let secrets = secrets.collect::<Result<_, _>>()?;
        let rotations = of_type("AWS::SecretsManager::RotationSchedule");
        let rotations = rotations.map(|(id, rotation)| Rotation::read(id, rotation, &references, &functions));
        let rotations = rotations.collect::<Result<_, _>>()?;
        Ok(Self { functions, table, secrets, rotations, source })
    }

    /// Returns the template with this URL in every variable that holds the API's.
    #[must_use]
    pub fn with_api_url(mut self, url: &str) -> Self {
        let functions = self.functions.iter_mut().map(Arc::make_mut);
        for value in functions.flat_map(|function| function.environment.values_mut()) {
            if value == API_ENDPOINT {
                url.clone_into(value);
            }
        }
        self
    }

    /// Returns the function of this name, if there is one.
    pub fn function(&self, name: &str) -> Option<&Arc<Function>> {
        self.functions.iter().find(|function| function.name == name)
    }
}

impl Table {
    fn read(id: &str, resource: &Value) -> Result<Self, TemplateError> {
        let at = |part: &str| format!("{id}.{part}");
        let list = |name: &str| {
            let values = value_at(resource, &["Properties", name]).and_then(Value::as_sequence);
            values.ok_or_else(|| wrong(at(name), "is missing"))
        };
        let types: BTreeMap<_, _> = list("AttributeDefinitions")?
            .iter()
            .filter_map(|a| Some((text_at(a, &["AttributeName"])?, text_at(a, &["AttributeType"])?)))
            .collect();
        let mut keys = Vec::new();
        for key in list("KeySchema")? {
            let name = text_at(key, &["AttributeName"]).ok_or_else(|| wrong(at("KeySchema"), "names no attribute"))?;
            let scalar_type = types.get(&name).ok_or_else(|| wrong(at("AttributeDefinitions"), "lacks a key"))?;
            keys.push((name, scalar_type.clone()));
        }
        let ttl_attribute = text_at(resource, &["Properties", "TimeToLiveSpecification", "AttributeName"])
            .ok_or_else(|| wrong(at("TimeToLiveSpecification"), "is missing"))?;
        Ok(Self { name: id.to_owned(), keys, ttl_attribute })
    }
}

impl Function {
    fn read(id: &str, resource: &Value, references: &References<'_>) -> Result<Self, TemplateError> {
        let name = text_at(resource, &["Metadata", "BuildProperties", "Binary"])
            .ok_or_else(|| wrong(format!("{id}.Metadata.BuildProperties.Binary"), "is missing"))?;

        let mut environment = BTreeMap::new();
        let globals = ["Globals", "Function", "Environment", "Variables"];
        let own = ["Properties", "Environment", "Variables"];
        for variables in [value_at(references.source, &globals), value_at(resource, &own)].into_iter().flatten() {
            for (variable, value) in variables.as_mapping().into_iter().flatten() {
                let variable = variable.as_str().ok_or_else(|| wrong(id, "has a variable without a name"))?;
                let value = references
                    .resolve(value)
                    .ok_or_else(|| wrong(format!("{id}.{variable}"), "refers to something unknown"))?;
                environment.insert(variable.to_owned(), value);
            }
        }

        let (mut routes, mut is_default) = (Vec::new(), false);
        for (_, event) in
            value_at(resource, &["Properties", "Events"]).and_then(Value::as_mapping).into_iter().flatten()
        {
            let part = |name| text_at(event, &["Properties", name]);
            if text_at(event, &["Type"]).as_deref() == Some("HttpApi") {
                match (part("Method"), part("Path")) {
                    (Some(method), Some(path)) => routes.push(Route { method: method.to_uppercase(), path }),
                    (None, None) => is_default = true,
                    _ => return Err(wrong(format!("{id}.Events"), "has a route without method or path")),
                }
            }
        }

        let mut role = Role::default();
        for policy in one_or_more(value_at(resource, &["Properties", "Policies"])) {
            let document = references.policy_document(policy);
            let document = document.ok_or_else(|| wrong(id, "has a policy that is not in the template"))?;
            for statement in one_or_more(member(document, "Statement")) {
                role.add(if_it_holds(statement)).map_err(|problem| wrong(id, problem))?;
            }
        }
        let Role { permissions, denials, unlimited, mut only_partitions, denied_partitions } = role;
        // What one statement allows without a condition, another one does not limit.
        only_partitions.retain(|permission, _| !unlimited.contains(permission));
        let logical_id = id.to_owned();
        Ok(Self {
            name,
            logical_id,
            routes,
            is_default,
            environment,
            permissions,
            denials,
            only_partitions,
            denied_partitions,
        })
    }

    /// Returns whether the role allows this permission on items of a partition, or on resources that have none. An
    /// unknown partition is one that no condition allows and every condition denies.
    pub fn may(&self, permission: &Permission, partition: Option<&str>) -> bool {
        let is_in = |patterns: &BTreeSet<Partitions>| partition.map(|key| patterns.iter().any(|p| p.has(key)));
        let is_allowed = self.only_partitions.get(permission).is_none_or(|only| is_in(only) == Some(true));
        let is_denied = self.denied_partitions.get(permission).is_some_and(|denied| is_in(denied) != Some(false));
        self.permissions.contains(permission) && !self.denials.contains(permission) && is_allowed && !is_denied
    }
}

impl Partitions {
    /// Reads a pattern; `None` if it has a wildcard that is not its last character.
    fn read(text: &str) -> Option<Self> {
        let (key, pattern) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, Self::From(prefix.to_owned())),
            None => (text, Self::One(text.to_owned())),
        };
        Some(pattern).filter(|_| !key.contains(['*', '?', '$']))
    }

    /// Returns whether the partition with this key is one of these.
    pub fn has(&self, key: &str) -> bool {
        match self {
            Self::One(one) => key == one,
            Self::From(prefix) => key.starts_with(prefix),
        }
    }
}

/// The sum of a function's policies.
#[derive(Default)]
struct Role {
    permissions: BTreeSet<Permission>,
    denials: BTreeSet<Permission>,
    /// Those of `permissions` that a statement without a condition allows.
    unlimited: BTreeSet<Permission>,
    only_partitions: BTreeMap<Permission, BTreeSet<Partitions>>,
    denied_partitions: BTreeMap<Permission, BTreeSet<Partitions>>,
}

impl Role {
    /// Adds a statement of a policy. If it has parts that are not read here, fails and returns the problem.
    fn add(&mut self, statement: &Value) -> Result<(), &'static str> {
        let parts = statement.as_mapping().into_iter().flat_map(|parts| parts.keys().filter_map(Value::as_str));
        let parts = parts.filter(|part| *part != "Condition").collect::<BTreeSet<_>>();
        if !parts.iter().eq(&["Action", "Effect", "Resource"]) {
            return Err("has a policy that has other members than Effect, Action and Resource");
        }
        let effect = text_at(statement, &["Effect"]);
        let is_denial = effect.as_deref() == Some("Deny");
        if !is_denial && effect.as_deref() != Some("Allow") {
            return Err("has a policy that neither allows nor denies");
        }
        let partitions =
            member(statement, "Condition").map(|condition| partitions(condition, is_denial)).transpose()?;
        for resource in one_or_more(member(statement, "Resource")) {
            // A resource that is not in the template may be denied but never allowed.
            let resource = target(resource).or_else(|| pattern(resource).filter(|_| is_denial));
            let resource = resource.ok_or("has a policy for something unknown")?;
            for action in one_or_more(member(statement, "Action")) {
                let action = scalar(action).ok_or("has a policy for an action without a name")?;
                let permission = Permission { action, resource: resource.clone() };
                match (&partitions, is_denial) {
                    (None, true) => {
                        self.denials.insert(permission);
                    }
                    (None, false) => {
                        self.unlimited.insert(permission.clone());
                        self.permissions.insert(permission);
                    }
                    (Some(denied), true) => {
                        self.denied_partitions.entry(permission).or_default().extend(denied.iter().cloned());
                    }
                    (Some(only), false) => {
                        self.permissions.insert(permission.clone());
                        self.only_partitions.entry(permission).or_default().extend(only.iter().cloned());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Reads the partitions that a condition names. The operator must be the one that is safe for the effect: a statement
/// that allows holds if all of a request's items are in them, and one that denies holds if any is.
fn partitions(condition: &Value, is_denial: bool) -> Result<BTreeSet<Partitions>, &'static str> {
    const PROBLEM: &str = "has a policy with a condition other than one on dynamodb:LeadingKeys";
    let operator = if is_denial { "ForAnyValue:StringLike" } else { "ForAllValues:StringLike" };
    let only = |value: &Value, name: &str| {
        value.as_mapping().filter(|members| members.len() == 1).and_then(|members| members.get(name)).cloned()
    };
    let keys = only(condition, operator).and_then(|keys| only(&keys, "dynamodb:LeadingKeys")).ok_or(PROBLEM)?;
    let patterns = one_or_more(Some(&keys)).map(|key| key.as_str().and_then(Partitions::read));
    patterns.collect::<Option<BTreeSet<_>>>().filter(|patterns| !patterns.is_empty()).ok_or(PROBLEM)
}

impl GeneratedSecret {
    fn read(id: &str, resource: &Value) -> Result<Self, TemplateError> {
        let rule = value_at(resource, &["Properties", "GenerateSecretString"]);
        let rule = rule.ok_or_else(|| wrong(format!("{id}.GenerateSecretString"), "is missing"))?;
        // Secrets Manager's own default.
        let length = text_at(rule, &["PasswordLength"]).and_then(|length| length.parse().ok()).unwrap_or(32);
        Ok(Self { name: id.to_owned(), length, key: text_at(rule, &["GenerateStringKey"]) })
    }
}

impl Rotation {
    fn read(
        id: &str,
        resource: &Value,
        references: &References<'_>,
        functions: &[Arc<Function>],
    ) -> Result<Self, TemplateError> {
        let part = |name: &'static str| {
            let value = value_at(resource, &["Properties", name]);
            value.ok_or_else(|| wrong(format!("{id}.{name}"), "is missing"))
        };
        let secret = target(part("SecretId")?).ok_or_else(|| wrong(id, "rotates something unknown"))?;
        let logical_id = target(part("RotationLambdaARN")?);
        let function = functions.iter().find(|function| Some(&function.logical_id) == logical_id.as_ref());
        let function = function.ok_or_else(|| wrong(id, "has no rotation function"))?.name.clone();
        let days = member(part("RotationRules")?, "AutomaticallyAfterDays").and_then(|days| references.resolve(days));
        let days = days.and_then(|days| days.parse().ok()).ok_or_else(|| wrong(id, "has no AutomaticallyAfterDays"))?;
        Ok(Self { secret, function, after_days: days })
    }
}

/// Returns the resource that `!Ref Name` or `!GetAtt Name.Arn` names, or `"*"` for all resources.
fn target(value: &Value) -> Option<String> {
    let Value::Tagged(tagged) = value else { return scalar(value).filter(|all| all == "*") };
    let name = tagged.value.as_str()?;
    match tagged.tag.to_string().trim_start_matches('!') {
        "Ref" => Some(name.to_owned()),
        "GetAtt" => name.strip_suffix(".Arn").map(str::to_owned),
        _ => None,
    }
}

/// Returns an ARN as it is written, with its references to AWS's own names.
fn pattern(value: &Value) -> Option<String> {
    match value {
        Value::Tagged(tagged) if tagged.tag == "Sub" => tagged.value.as_str().map(str::to_owned),
        value => scalar(value),
    }
}

/// Returns what a value is if its condition holds. Here every one does, so that what a stack may have is there.
fn if_it_holds(value: &Value) -> &Value {
    match value {
        Value::Tagged(choice) if choice.tag == "If" => choice.value.get(1).unwrap_or(value),
        value => value,
    }
}

/// Returns the values of a member that holds one value or a list of them.
fn one_or_more(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    let list = value.and_then(Value::as_sequence);
    list.into_iter().flatten().chain(value.filter(|value| !value.is_sequence()))
}

/// The placeholder for the API's URL until it is known.
const API_ENDPOINT: &str = "HttpApi.ApiEndpoint";

/// The things that `Ref` and `Sub` may refer to.
struct References<'a> {
    source: &'a Value,
    table: &'a str,
}

impl References<'_> {
    /// Returns a value as the environment sees it, or `None` if it refers to something unknown.
    fn resolve(&self, value: &Value) -> Option<String> {
        match if_it_holds(value) {
            Value::Tagged(tagged) if tagged.tag == "Ref" => self.named(tagged.value.as_str()?),
            Value::Tagged(tagged) if tagged.tag == "GetAtt" => {
                tagged.value.as_str().filter(|attribute| *attribute == API_ENDPOINT).map(str::to_owned)
            }
            Value::Tagged(tagged) if tagged.tag == "Sub" => {
                let mut text = tagged.value.as_str()?.to_owned();
                while let Some((before, rest)) = text.split_once("${") {
                    let (name, after) = rest.split_once('}')?;
                    text = format!("{before}{}{after}", self.named(name)?);
                }
                Some(text)
            }
            value => scalar(value),
        }
    }

    /// Returns the document of a policy: its own, or that of the template's managed policy that `!Ref` names.
    fn policy_document<'v>(&'v self, policy: &'v Value) -> Option<&'v Value> {
        let document = match policy {
            Value::Tagged(tagged) if tagged.tag == "Ref" => {
                let managed = value_at(self.source, &["Resources", tagged.value.as_str()?])?;
                let is_managed = text_at(managed, &["Type"]).as_deref() == Some("AWS::IAM::ManagedPolicy");
                value_at(managed, &["Properties", "PolicyDocument"]).filter(|_| is_managed)?
            }
            own => own,
        };
        member(document, "Statement").map(|_| document)
    }

    fn named(&self, name: &str) -> Option<String> {
        if name == "AWS::StackName" {
            return Some("local".to_owned());
        }
        let type_ = text_at(self.source, &["Resources", name, "Type"]);
        if name == self.table || type_.as_deref() == Some("AWS::SecretsManager::Secret") {
            return Some(name.to_owned());
        }
        text_at(self.source, &["Parameters", name, "Default"])
    }
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_mapping()?.get(name)
}

fn value_at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| member(value, name))
}

fn text_at(value: &Value, path: &[&str]) -> Option<String> {
    scalar(value_at(value, path)?)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let error = Template::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    const TABLE: &str = "{Type: AWS::DynamoDB::Table, Properties: {KeySchema: [{AttributeName: pk}], \
                         AttributeDefinitions: [{AttributeName: pk, AttributeType: S}], \
                         TimeToLiveSpecification: {AttributeName: e}}}";

    /// Returns a template with one function that has these policies, and with a managed policy to refer to.
    fn with_policies(policies: &str) -> String {
        format!(
            "Resources: {{T: {TABLE}, F: {{Type: AWS::Serverless::Function, Metadata: {{BuildProperties: {{Binary: f}}}}, \
             Properties: {{Policies: {policies}}}}}, P: {{Type: AWS::IAM::ManagedPolicy, Properties: {{PolicyDocument: \
             {{Statement: [{{Effect: Allow, Action: a:One, Resource: \"*\"}}, \
             {{Effect: Deny, Action: a:One, Resource: \"arn:aws:a:*\"}}]}}}}}}}}"
        )
    }

    #[test]
    fn a_broken_template_says_where() {
        check("Resources: [", "not YAML");
        check("Resources: {}", "has no table");
        check("{}", "Resources is missing");
        check(&format!("Resources: {{T: {TABLE}}}"), "has no function");
        check(
            &format!("Resources: {{T: {TABLE}, F: {{Type: AWS::Serverless::Function}}}}"),
            "F.Metadata.BuildProperties.Binary is missing",
        );
    }

    #[test]
    fn a_managed_policy_grants_and_denies_as_one_of_the_functions_own() {
        let permission = |action: &str, resource: &str| Permission { action: action.into(), resource: resource.into() };
        let own = "{Statement: [{Effect: Allow, Action: [a:Two, a:Three], Resource: !GetAtt T.Arn}]}";
        let (two, three) = (permission("a:Two", "T"), permission("a:Three", "T"));
        let (one, not_one) = (permission("a:One", "*"), permission("a:One", "arn:aws:a:*"));
        for (policies, permissions, denials) in [
            ("[]".to_owned(), vec![], vec![]),
            (own.to_owned(), vec![two.clone(), three.clone()], vec![]),
            ("!Ref P".to_owned(), vec![one.clone()], vec![not_one.clone()]),
            (format!("[!Ref P, {own}]"), vec![one, two, three], vec![not_one]),
        ] {
            let template = Template::parse(&with_policies(&policies)).unwrap();
            let function = template.function("f").unwrap();
            assert_eq!(function.permissions, BTreeSet::from_iter(permissions), "{policies}");
            assert_eq!(function.denials, BTreeSet::from_iter(denials), "{policies}");
        }
    }

    /// A policy that is not understood is an error, because it may grant something.
    #[test]
    fn a_condition_on_leading_keys_limits_a_permission_to_partitions() {
        let of = |effect: &str, keys: &str| {
            let quantifier = if effect == "Deny" { "ForAnyValue" } else { "ForAllValues" };
            let condition = format!("{{'{quantifier}:StringLike': {{dynamodb:LeadingKeys: {keys}}}}}");
            format!("{{Effect: {effect}, Action: a:Two, Resource: !Ref T, Condition: {condition}}}")
        };
        let all = "{Effect: Allow, Action: a:Two, Resource: !Ref T}";
        let may = |statements: &[&str], partition: Option<&str>| {
            let policies = format!("[{{Statement: [{}]}}]", statements.join(", "));
            let template = Template::parse(&with_policies(&policies)).unwrap();
            let permission = Permission { action: "a:Two".into(), resource: "T".into() };
            template.function("f").unwrap().may(&permission, partition)
        };
        let (only, but) = (of("Allow", "[KEYS]"), of("Deny", "[KEYS, 'AUDIT#*']"));
        for (statements, keys, audit, user, unknown) in [
            (vec![all], true, true, true, true),
            (vec![&only], true, false, false, false),
            (vec![&only, all], true, true, true, true),
            (vec![&but, all], false, false, true, false),
            (vec![&but, &only], false, false, false, false),
            (vec![&but], false, false, false, false),
        ] {
            let [k, a, u, none] =
                [Some("KEYS"), Some("AUDIT#2026-01"), Some("USER#1"), None].map(|p| may(&statements, p));
            assert_eq!((k, a, u, none), (keys, audit, user, unknown), "{statements:?}");
        }
        assert!(may(&[&only], Some("KEYS")) && !may(&[&only], Some("KEYS#1")), "a pattern without * is one partition");
    }

    #[test]
    fn what_a_condition_adds_is_there() {
        let statement = "!If [C, {Effect: Allow, Action: a:Two, Resource: !Ref T}, !Ref AWS::NoValue]";
        let text = with_policies(&format!("{{Statement: [{statement}]}}"));
        let text = text.replace("Policies", "Environment: {Variables: {V: !If [C, !Ref T, '']}}, Policies");
        let template = Template::parse(&text).unwrap();
        let function = template.function("f").unwrap();
        let permission = Permission { action: "a:Two".into(), resource: "T".into() };
        assert!(function.may(&permission, None));
        assert_eq!(function.environment["V"], "T");
    }

    #[test]
    fn a_policy_that_cannot_be_read_is_an_error() {
        let statement = |text: &str| with_policies(&format!("[{{Statement: {{{text}}}}}]"));
        for policies in ["[AmazonS3FullAccess]", "[!Ref T]", "[!Ref Nowhere]", "[{DynamoDBCrudPolicy: {TableName: t}}]"]
        {
            check(&with_policies(policies), "F has a policy that is not in the template");
        }
        check(
            &statement("Effect: Allow, NotAction: a:One, Resource: '*'"),
            "F has a policy that has other members than Effect, Action and Resource",
        );
        for (effect, condition) in [
            ("Allow", "{}"),
            ("Allow", "{'ForAnyValue:StringLike': {dynamodb:LeadingKeys: A}}"),
            ("Deny", "{'ForAllValues:StringLike': {dynamodb:LeadingKeys: A}}"),
            ("Allow", "{'ForAllValues:StringLike': {aws:SourceIp: A}}"),
            ("Allow", "{'ForAllValues:StringLike': {dynamodb:LeadingKeys: A, aws:SourceIp: A}}"),
            ("Allow", "{'ForAllValues:StringLike': {dynamodb:LeadingKeys: A}, Bool: {aws:SecureTransport: true}}"),
            ("Allow", "{'ForAllValues:StringLike': {dynamodb:LeadingKeys: []}}"),
            ("Allow", "{'ForAllValues:StringLike': {dynamodb:LeadingKeys: 'A*B'}}"),
        ] {
            check(
                &statement(&format!("Effect: {effect}, Action: a:One, Resource: '*', Condition: {condition}")),
                "F has a policy with a condition other than one on dynamodb:LeadingKeys",
            );
        }
        check(
            &statement("Effect: Maybe, Action: a:One, Resource: '*'"),
            "F has a policy that neither allows nor denies",
        );
        check(
            &statement("Effect: Allow, Action: a:One, Resource: arn:aws:a:b"),
            "F has a policy for something unknown",
        );
        check(
            &statement("Effect: Allow, Action: [[a:One]], Resource: '*'"),
            "F has a policy for an action without a name",
        );
    }
}
