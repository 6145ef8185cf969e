//! Emulates AWS in this process. It responds to the real SDK's wire requests: `dynoxide` to those for DynamoDB, and our
//! own code to those for Secrets Manager and SNS. A function may call only what its role allows.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::{
    Database, DynoxideError, ImportOptions,
    actions::scan::{ScanRequest, ScanResponse},
};
use latchkey::{
    app::Clients,
    aws::{AwsEnvironment, HttpsClients},
    store::PARTITION_KEY,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    gate::{Gate, Turn},
    secrets::Secrets,
    template::{self, Permission},
};

/// An emulator of the AWS services: the database with the template's table, the secrets, and SNS.
#[derive(Clone)]
pub struct Emulator {
    database: Database,
    secrets: Secrets,
    sns: Sns,
    calls: CallLog,
    faults: Faults,
    gate: Gate,
}

/// An error of the embedded database: it cannot be opened, or it has another structure.
#[derive(Debug, thiserror::Error)]
#[error("the embedded database cannot be used: {0}")]
pub struct EmulatorError(#[from] DynoxideError);

/// A call to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The function that made the call.
    pub function: String,
    /// The permissions that IAM would have required: for the operation, or for those inside a transaction.
    pub permissions: BTreeSet<Permission>,
    /// The position of its start in the order of all starts and ends.
    pub started: usize,
    /// The position of its end in the same order.
    pub ended: usize,
}

/// A fault of a call, for tests, because an emulator never throttles, conflicts or loses a reply by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// DynamoDB returns this error and does nothing.
    Error(&'static str),
    /// The connection breaks before DynamoDB does anything.
    LostRequest,
    /// DynamoDB completes the call, and the connection breaks before the response.
    LostReply,
    /// DynamoDB cancels the transaction for this reason.
    Canceled(&'static str),
    /// DynamoDB returns every key of a batch as unprocessed.
    Unprocessed,
    /// The request is delivered twice. DynamoDB does both, and the connection carries the second response.
    Twice,
    /// DynamoDB never responds.
    Hang,
}

/// Every operation, for a fault that counts calls of whatever kind.
pub const ANY: &str = "*";

/// The faults to come. Each waits for calls of its operation, and then happens a given number of times.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Pending>>>);

/// A fault that waits for calls of its operation.
struct Pending {
    operation: &'static str,
    fault: Fault,
    /// How many calls succeed before.
    after: usize,
    times: usize,
}

impl Faults {
    /// Makes the next `times` calls of this operation, or of [`ANY`], fail with this fault.
    pub fn inject(&self, operation: &'static str, fault: Fault, times: usize) {
        self.inject_after(operation, 0, fault, times);
    }

    /// Makes `times` calls of this operation fail with this fault, after the next `after` ones have succeeded.
    pub fn inject_after(&self, operation: &'static str, after: usize, fault: Fault, times: usize) {
        let pending = Pending { operation, fault, after, times };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pending);
    }

    /// Returns whether a fault has not happened as often as it should, and waits for more calls.
    pub fn is_waiting(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|pending| pending.times > 0)
    }

    /// Removes all faults, so that calls succeed from now on.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn next(&self, operation: &str) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of = |pending: &&mut Pending| [operation, ANY].contains(&pending.operation) && pending.times > 0;
        let pending = faults.iter_mut().find(is_of)?;
        if pending.after > 0 {
            pending.after -= 1;
            return None;
        }
        pending.times -= 1;
        Some(pending.fault)
    }
}

/// A log of every call since it was last taken, for tests of permissions and round trips.
#[derive(Clone, Default)]
pub struct CallLog(Arc<Mutex<Calls>>);

#[derive(Default)]
struct Calls {
    moment: usize,
    ended: Vec<Call>,
}

impl CallLog {
    fn next_moment(&self) -> usize {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.moment += 1;
        calls.moment
    }

    fn push(&self, call: Call) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A dev server runs for days and never takes its calls.
        if calls.ended.len() < 100_000 {
            calls.ended.push(call);
        }
    }

    /// Returns the calls so far, and empties the log.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).ended)
    }
}

impl Emulator {
    /// Opens a database in memory, which is lost when the process ends.
    pub fn in_memory(table: &template::Table, secrets: Secrets) -> Result<Self, EmulatorError> {
        Self::with(Database::memory()?, table, secrets)
    }

    /// Opens a database in a file.
    pub fn in_file(path: &Path, table: &template::Table, secrets: Secrets) -> Result<Self, EmulatorError> {
        Self::with(Database::new(&path.display().to_string())?, table, secrets)
    }

    fn with(database: Database, table: &template::Table, secrets: Secrets) -> Result<Self, EmulatorError> {
        let (sns, calls, faults, gate) = <(Sns, CallLog, Faults, Gate)>::default();
        let emulator = Self { database, secrets, sns, calls, faults, gate };
        let existing = emulator.call("DescribeTable", &json!({ "TableName": table.name }).to_string());
        if existing.is_err() {
            let roles = ["HASH", "RANGE"];
            let definitions =
                table.keys.iter().map(|(name, type_)| json!({"AttributeName": name, "AttributeType": type_}));
            let schema =
                table.keys.iter().zip(roles).map(|((name, _), role)| json!({"AttributeName": name, "KeyType": role}));
            let create = json!({
                "TableName": table.name,
                "AttributeDefinitions": definitions.collect::<Vec<_>>(),
                "KeySchema": schema.collect::<Vec<_>>(),
                "BillingMode": "PAY_PER_REQUEST",
            });
            emulator.call("CreateTable", &create.to_string())?;
            let ttl = json!({
                "TableName": table.name,
                "TimeToLiveSpecification": {"AttributeName": table.ttl_attribute, "Enabled": true},
            });
            emulator.call("UpdateTimeToLive", &ttl.to_string())?;
        }
        Ok(emulator)
    }

    /// Returns another emulator in memory with the same items and secrets, no faults to come, and an empty log.
    pub fn copy(&self, table: &template::Table) -> Result<Self, EmulatorError> {
        let copy = Self::in_memory(table, self.secrets.copy())?;
        let all = ScanRequest { table_name: table.name.clone(), ..ScanRequest::default() };
        let items = self.database.scan(all)?.items.unwrap_or_default();
        copy.database.import_items(&table.name, items, ImportOptions::default())?;
        Ok(copy)
    }

    /// Returns clients with a function's role, which may do only what the role allows.
    pub fn clients_for(&self, function: &Arc<template::Function>) -> Clients {
        self.clients(Role { name: function.name.clone(), function: Some(function.clone()) })
    }

    /// Returns clients of an operator, who may do everything.
    pub fn clients_of_operator(&self) -> Clients {
        self.clients(Role { name: "operator".to_owned(), function: None })
    }

    fn clients(&self, role: Role) -> Clients {
        let environment = AwsEnvironment {
            region: "local".to_owned(),
            credentials: Credentials::new("local", "local", None, None, "local"),
            dynamodb_endpoint: Some("http://dynamodb.local".to_owned()),
            secrets_manager_endpoint: Some("http://secretsmanager.local".to_owned()),
            sns_endpoint: Some("http://sns.local".to_owned()),
        };
        let connector = SharedHttpConnector::new(Connector { emulator: self.clone(), role: Arc::new(role) });
        Clients::new(&environment, HttpsClients::one(http_client_fn(move |_, _| connector.clone())))
    }

    /// Returns the log of the calls that functions made.
    pub fn calls(&self) -> &CallLog {
        &self.calls
    }

    /// Returns the secrets.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Returns the emulated SNS, with the text messages that it was asked to send.
    pub fn sns(&self) -> &Sns {
        &self.sns
    }

    /// Returns the faults to come.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Returns the gate that can hold calls until others have arrived.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Returns every item as DynamoDB's JSON, for tests that read the table and for operators' tools.
    pub fn items(&self, table: &str) -> Result<Vec<Value>, EmulatorError> {
        let answer = self.call("Scan", &json!({ "TableName": table }).to_string())?;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        Ok(answer.get("Items").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Writes an item unchanged, for tests that need one that no endpoint writes.
    pub fn put_item(&self, table: &str, item: &Value) -> Result<(), EmulatorError> {
        self.call("PutItem", &json!({ "TableName": table, "Item": item }).to_string())?;
        Ok(())
    }

    /// Deletes the items that TTL would have collected by now, and returns their number.
    pub fn collect_garbage(&self) -> Result<usize, EmulatorError> {
        Ok(self.database.sweep_ttl()?)
    }

    /// Responds to one request in a service's own protocol without checking permissions. Returns the status and the
    /// body.
    pub fn answer(&self, target: &Target<'_>, body: &str) -> (u16, String) {
        match target.service {
            Service::SecretsManager => self.secrets.answer(target.operation, body),
            Service::Sns => self.sns.answer(target.operation, body),
            Service::DynamoDb => match self.call(target.operation, body) {
                Ok(body) => (200, body),
                Err(error) => (error.status_code(), error.to_json()),
            },
        }
    }

    /// Runs one operation of DynamoDB's JSON protocol.
    fn call(&self, operation: &str, body: &str) -> Result<String, DynoxideError> {
        fn run<Q: DeserializeOwned, A: Serialize>(
            body: &str,
            operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
        ) -> Result<String, DynoxideError> {
            let request =
                serde_json::from_str(body).map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
            let answer = operation(request)?;
            serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
        }
        let database = &self.database;
        match operation {
            "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
            "CreateTable" => run(body, |request| database.create_table(request)),
            "DeleteItem" => run(body, |request| database.delete_item(request)),
            "DescribeTable" => run(body, |request| database.describe_table(request)),
            "DescribeTimeToLive" => run(body, |request| database.describe_time_to_live(request)),
            "GetItem" => run(body, |request| database.get_item(request)),
            "PutItem" => run(body, |request| database.put_item(request)),
            "Query" => run(body, |request| database.query(request)),
            "Scan" => run(body, |request| scan(database, request)),
            "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
            "UpdateItem" => run(body, |request| database.update_item(request)),
            "UpdateTimeToLive" => run(body, |request| database.update_time_to_live(request)),
            other => Err(DynoxideError::ValidationException(format!("{other} is not emulated"))),
        }
    }
}

/// The items of a page of a parallel scan, where the request names no limit.
const PAGE: usize = 1_000;

/// Scans the table. The first segment of a parallel scan has all items, and the others have none, which is a division that
/// DynamoDB allows. The library has no index for segments and ends no page by itself: it reads and sorts what is left of the
/// segment for each page, so that 8 segments of 100,000 accounts took longer than the SDK waits.
fn scan(database: &Database, mut request: ScanRequest) -> Result<ScanResponse, DynoxideError> {
    match (request.segment, request.total_segments) {
        (Some(0), Some(1..)) => {
            (request.segment, request.total_segments) = (None, None);
            request.limit.get_or_insert(PAGE);
        }
        (Some(segment), Some(total)) if segment < total => return Ok(ScanResponse::default()),
        _ => {}
    }
    database.scan(request)
}

/// A caller's role.
struct Role {
    name: String,
    /// The function whose role it is; `None` allows everything.
    function: Option<Arc<template::Function>>,
}

/// One permission that a request needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Access {
    permission: Permission,
    /// The partition of the item, which IAM calls its leading key; `None` if the request names none.
    partition: Option<String>,
}

/// An HTTP connector that passes the SDK's requests to the emulator.
#[derive(Clone)]
struct Connector {
    emulator: Emulator,
    role: Arc<Role>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector({})", self.role.name)
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let body = request.body().bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            let body = body.unwrap_or_default();
            let target = request.headers().get("x-amz-target").map_or_else(|| sns_target(&body), str::to_owned);
            this.answer(&target, &body).await
        })
    }
}

impl Connector {
    async fn answer(&self, target: &str, body: &str) -> Result<HttpResponse, ConnectorError> {
        let target = Target::parse(target);
        let accesses = target.accesses(body);
        let Role { name, function } = &*self.role;
        let is_allowed = |access: &&Access| {
            function.as_ref().is_none_or(|function| function.may(&access.permission, access.partition.as_deref()))
        };
        if let Some(access) = accesses.iter().find(|access| !is_allowed(access)) {
            let Access { permission: Permission { action, resource }, partition } = access;
            let on = partition.as_ref().map_or_else(|| resource.clone(), |partition| format!("{resource} {partition}"));
            let message = format!("{name} may not call {action} on {on}: template.yaml does not allow it");
            let error = json!({"__type": "com.amazon.coral.service#AccessDeniedException", "message": message});
            return Ok(response(400, error.to_string()));
        }
        let is_beside = target.operation == "TransactWriteItems" && accesses.len() == 1;
        let permissions = accesses.into_iter().map(|access| access.permission).collect();
        let fault = self.emulator.faults.next(target.operation);
        if let Some(answer) = before(fault, body).await {
            return answer;
        }

        let started = self.emulator.calls.next_moment();
        // A real call lets others run meanwhile. This yields too, so that concurrent calls overlap in the log.
        tokio::task::yield_now().await;
        // A transaction of one write gives a count back beside the change that a race is about.
        let turn = if is_beside { Turn::default() } else { self.emulator.gate.pass(target.operation, name).await };
        if fault == Some(Fault::Twice) {
            self.emulator.answer(&target, body);
        }
        let (status, answer) = self.emulator.answer(&target, body);
        drop(turn);
        let ended = self.emulator.calls.next_moment();
        self.emulator.calls.push(Call { function: name.clone(), permissions, started, ended });
        match fault {
            Some(Fault::LostReply) => Err(lost()),
            _ => Ok(response(status, answer)),
        }
    }
}

/// Returns the response that a fault gives instead of the database's, if it prevents the call.
async fn before(fault: Option<Fault>, body: &str) -> Option<Result<HttpResponse, ConnectorError>> {
    let error = |code: &str, more: Value| {
        let mut error = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "a fault"});
        if let (Some(error), Some(more)) = (error.as_object_mut(), more.as_object()) {
            error.extend(more.clone());
        }
        let status = if code.starts_with("InternalServ") { 500 } else { 400 };
        Some(Ok(response(status, error.to_string())))
    };
    match fault? {
        Fault::Error(code) => error(code, json!({})),
        Fault::LostRequest => Some(Err(lost())),
        Fault::LostReply | Fault::Twice => None,
        Fault::Canceled(reason) => {
            let reasons = json!([{"Code": reason, "Message": "a fault"}, {"Code": "None"}]);
            error("TransactionCanceledException", json!({ "CancellationReasons": reasons }))
        }
        Fault::Unprocessed => {
            let request: Value = serde_json::from_str(body).unwrap_or_default();
            let keys = request.get("RequestItems").cloned().unwrap_or_default();
            Some(Ok(response(200, json!({"Responses": {}, "UnprocessedKeys": keys}).to_string())))
        }
        Fault::Hang => std::future::pending().await,
    }
}

fn lost() -> ConnectorError {
    ConnectorError::io("the connection broke".into())
}

/// An emulator of SNS: the messages that it was asked to send, its responses, and the settings of its account.
#[derive(Clone, Default)]
pub struct Sns(Arc<Mutex<SnsState>>);

#[derive(Default)]
struct SnsState {
    requests: Vec<String>,
    error: Option<(u16, String)>,
    is_in_sandbox: bool,
    /// The limit in US dollars.
    monthly_spend_limit: Option<u32>,
}

impl Sns {
    /// Returns the bodies of all requests to send a message so far, which are forms.
    pub fn requests(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    /// Makes every request from now on fail with this status and this error, given by code and message. `None` lets
    /// requests succeed.
    pub fn fail_with(&self, error: Option<(u16, &str, &str)>) {
        let error = error.map(|(status, code, message)| (status, sns_error(code, message)));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).error = error;
    }

    /// Sets whether the account is in the sandbox, and how many US dollars a month it may spend.
    pub fn set_account(&self, is_in_sandbox: bool, monthly_spend_limit: Option<u32>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.is_in_sandbox, state.monthly_spend_limit) = (is_in_sandbox, monthly_spend_limit);
    }

    fn answer(&self, operation: &str, body: &str) -> (u16, String) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match operation {
            "Publish" => {
                state.requests.push(body.to_owned());
                "<MessageId>m</MessageId>".to_owned()
            }
            "GetSMSSandboxAccountStatus" => format!("<IsInSandbox>{}</IsInSandbox>", state.is_in_sandbox),
            "GetSMSAttributes" => {
                let limit = state
                    .monthly_spend_limit
                    .map(|dollars| format!("<entry><key>MonthlySpendLimit</key><value>{dollars}</value></entry>"));
                format!("<attributes>{}</attributes>", limit.unwrap_or_default())
            }
            other => return (400, sns_error("InvalidAction", &format!("{other} is not emulated"))),
        };
        let answer =
            format!("<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>");
        state.error.clone().unwrap_or((200, answer))
    }
}

fn sns_error(code: &str, message: &str) -> String {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    format!("<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>")
}

/// An emulated service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// DynamoDB, for the table.
    DynamoDb,
    /// Secrets Manager, for the secrets.
    SecretsManager,
    /// SNS, for text messages.
    Sns,
}

/// Returns a target for a request to SNS, whose protocol names the operation in the body, a form.
fn sns_target(body: &str) -> String {
    let operation = body.split('&').find_map(|member| member.strip_prefix("Action="));
    format!("sns.{}", operation.unwrap_or_default())
}

/// The target of a request: its `x-amz-target`.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The service.
    pub service: Service,
    /// The operation, such as `GetItem`.
    pub operation: &'a str,
}

impl<'a> Target<'a> {
    /// Reads `DynamoDB_20120810.GetItem` or `secretsmanager.GetSecretValue`.
    pub fn parse(text: &'a str) -> Self {
        let (service, operation) = text.rsplit_once('.').unwrap_or_default();
        let service = match service {
            "secretsmanager" => Service::SecretsManager,
            "sns" => Service::Sns,
            _ => Service::DynamoDb,
        };
        Self { service, operation }
    }

    /// Returns the permissions that IAM requires, each with the partition it is required for. A transaction has no action
    /// of its own, only those of its parts.
    fn accesses(&self, body: &str) -> BTreeSet<Access> {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let text = |value: &Value, member: &str| {
            value.get(member).and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
        };
        let partition = |item: &Value| item.pointer(&format!("/{PARTITION_KEY}/S"))?.as_str().map(str::to_owned);
        let on_table = |verb: &str, table: String, item: Option<&Value>| Access {
            permission: Permission { action: format!("dynamodb:{verb}"), resource: table },
            partition: item.and_then(partition),
        };
        let item = |request: &'_ Value| request.get("Key").or_else(|| request.get("Item")).cloned();
        let without_partition =
            |action, resource| Access { permission: Permission { action, resource }, partition: None };
        match (self.service, self.operation) {
            (Service::SecretsManager, operation) => {
                [without_partition(format!("secretsmanager:{operation}"), text(&body, "SecretId"))].into()
            }
            (Service::Sns, operation) => [without_partition(format!("sns:{operation}"), "*".to_owned())].into(),
            (_, "TransactWriteItems") => {
                let parts = body.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
                let verbs = parts.flat_map(|part| part.as_object().into_iter().flatten());
                let verbs = verbs.map(|(verb, write)| {
                    let verb = if verb == "ConditionCheck" { "ConditionCheckItem" } else { &format!("{verb}Item") };
                    on_table(verb, text(write, "TableName"), item(write).as_ref())
                });
                verbs.collect()
            }
            (_, operation @ "BatchGetItem") => {
                let tables = body.get("RequestItems").and_then(Value::as_object).into_iter().flatten();
                let keys = tables.flat_map(|(table, request)| {
                    let keys = request.get("Keys").and_then(Value::as_array).into_iter().flatten();
                    keys.map(|key| (table.clone(), key))
                });
                keys.map(|(table, key)| on_table(operation, table, Some(key))).collect()
            }
            (_, operation) => [on_table(operation, text(&body, "TableName"), item(&body).as_ref())].into(),
        }
    }
}

fn response(status: u16, body: String) -> HttpResponse {
    let status = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::new(status.into(), SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_asks_for_what_iam_would_ask_for() {
        let asked = |target: &str, body: Value| -> Vec<_> {
            let accesses = Target::parse(target).accesses(&body.to_string());
            let name = |Access { permission: Permission { action, resource }, partition }| match partition {
                Some(partition) => format!("{action} {resource} {partition}"),
                None => format!("{action} {resource}"),
            };
            accesses.into_iter().map(name).collect()
        };
        let on = json!({"TableName": "T"});
        let parts = json!([{"Update": on}, {"Put": on}, {"ConditionCheck": on}, {"Update": on}]);
        let transaction = asked("DynamoDB_20120810.TransactWriteItems", json!({ "TransactItems": parts }));
        assert_eq!(transaction, ["dynamodb:ConditionCheckItem T", "dynamodb:PutItem T", "dynamodb:UpdateItem T"]);
        assert_eq!(asked("DynamoDB_20120810.GetItem", on), ["dynamodb:GetItem T"]);
        let keys = json!([{"pk": {"S": "A"}, "sk": {"S": "1"}}, {"pk": {"S": "B"}, "sk": {"S": "1"}}]);
        let batch = json!({"RequestItems": {"T": {"Keys": keys}}});
        let batch = asked("DynamoDB_20120810.BatchGetItem", batch);
        assert_eq!(batch, ["dynamodb:BatchGetItem T A", "dynamodb:BatchGetItem T B"]);
        let put = json!({"TableName": "T", "Item": {"pk": {"S": "A"}}});
        assert_eq!(asked("DynamoDB_20120810.PutItem", put.clone()), ["dynamodb:PutItem T A"]);
        let update = json!({"TableName": "T", "Key": {"pk": {"S": "A"}}});
        assert_eq!(asked("DynamoDB_20120810.UpdateItem", update.clone()), ["dynamodb:UpdateItem T A"]);
        let parts = json!({"TransactItems": [{"Put": put}, {"Update": update}]});
        let parts = asked("DynamoDB_20120810.TransactWriteItems", parts);
        assert_eq!(parts, ["dynamodb:PutItem T A", "dynamodb:UpdateItem T A"]);
        let secret = asked("secretsmanager.GetSecretValue", json!({"SecretId": "S"}));
        assert_eq!(secret, ["secretsmanager:GetSecretValue S"]);
    }
}
