//! `cost`: what a million requests and a month cost, from what `calls` and `warm` have measured.
//!
//! List prices of us-east-1 in US dollars, without free tiers, messages and data transfer, of 2025 and 2026, checked
//! last before November 2026: API Gateway's HTTP API, Lambda on `x86_64`, DynamoDB on demand, CloudWatch Logs, Secrets Manager.

use std::collections::BTreeMap;

use crate::{
    Failure,
    lab::memory_sizes,
    results::{Table, read},
};

/// API Gateway's HTTP API, per million requests.
const GATEWAY: f64 = 1.00;
/// Lambda, per million requests.
const REQUESTS: f64 = 0.20;
/// Lambda, per GB-second.
const GB_SECOND: f64 = 16.6667e-6;
/// DynamoDB, per million write units.
const WRITE_UNITS: f64 = 0.625;
/// DynamoDB, per million read units.
const READ_UNITS: f64 = 0.125;
/// CloudWatch Logs, per GB.
const LOGS: f64 = 0.50;
/// The size at which a function has one vCPU, in MB (Lambda's documentation).
const ONE_VCPU: f64 = 1769.0;

/// What no measurement here tells of an endpoint.
struct Endpoint {
    name: &'static str,
    /// Sequential steps that it waits for the table (docs/ARCHITECTURE.md).
    steps: f64,
    /// Bytes of its audit and access lines.
    logged: f64,
    /// The time that it waits in any case, in ms.
    floor: f64,
    /// How often an active user calls it in a month.
    of_month: f64,
}

/// The time of a step, in ms: assumed.
const STEP: f64 = 5.0;

const ENDPOINTS: [Endpoint; 4] = [
    Endpoint { name: "me", steps: 1.0, logged: 386.0, floor: 0.0, of_month: 20.0 },
    Endpoint { name: "refresh", steps: 1.0, logged: 411.0, floor: 0.0, of_month: 30.0 },
    Endpoint { name: "login", steps: 2.0, logged: 435.0, floor: 0.0, of_month: 2.0 },
    Endpoint { name: "request-reset", steps: 2.0, logged: 655.0, floor: 1500.0, of_month: 0.05 },
];

pub(crate) fn run() -> Result<(), Failure> {
    let (calls, warm, memory) = (read("calls")?, read("warm")?, memory_sizes()?);
    let (mut rows, mut month) = (BTreeMap::new(), 0.0);
    for Endpoint { name, steps, logged, floor, of_month } in ENDPOINTS {
        let of = |table: &BTreeMap<String, BTreeMap<String, f64>>, column: &str| {
            let value = table.get(name).and_then(|row| row.get(column)).copied();
            value.ok_or_else(|| Failure::from(format!("there is no `{column}` of {name}; measure it first")))
        };
        let size = memory.get(name).copied().ok_or("template.yaml gives it no memory")?;
        let billed = (of(&warm, "CPU ms")? / (size / ONE_VCPU).min(1.0) + steps * STEP).max(floor).ceil();
        let lambda = REQUESTS + billed / 1e3 * size / 1024.0 * GB_SECOND * 1e6;
        let dynamodb = of(&calls, "write units")? * WRITE_UNITS + of(&calls, "read units")? * READ_UNITS;
        let logs = logged * 1e6 / 1e9 * LOGS;
        let total = GATEWAY + lambda + dynamodb + logs;
        rows.insert(name.to_owned(), vec![total, GATEWAY, lambda, dynamodb, logs, billed]);
        month += total * of_month / 1e6;
    }
    let columns = vec!["$ per million", "gateway", "Lambda", "DynamoDB", "logs", "billed ms"];
    Table { name: "cost", title: "A million requests, in US dollars", columns, rows }.publish()?;
    println!(
        "\nA month without messages, by users who sign in twice, refresh 30 times and ask for themselves 20 times:"
    );
    // Three secrets and eight metrics, whatever happens.
    let fixed = 3.0 * 0.40 + 8.0 * 0.30;
    for users in [1e3, 1e4, 1e5, 1e6, 1e7] {
        println!("{users:>12} users: ${:.2}, of which ${fixed:.2} are fixed", month * users + fixed);
    }
    Ok(())
}
