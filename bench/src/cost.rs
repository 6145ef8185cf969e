//! `cost`: what a million requests and a month cost, from what `calls` and `warm` have measured.
//!
//! List prices of us-east-1 in US dollars, without free tiers, messages and data transfer, of 2025 and 2026, checked last
//! before November 2026: API Gateway's HTTP API, Lambda, DynamoDB on demand, CloudWatch Logs, Secrets Manager.

use std::collections::BTreeMap;

use crate::{
    Failure,
    lab::memory_sizes,
    results::{Table, draw_lines, read},
};

/// API Gateway's HTTP API, per million requests.
const GATEWAY: f64 = 1.00;
/// Lambda, per million requests.
const REQUESTS: f64 = 0.20;
/// Lambda on `x86_64`, per GB-second.
const GB_SECOND: f64 = 16.6667e-6;
/// Lambda on `arm64`, per GB-second.
const GB_SECOND_ARM: f64 = 13.3334e-6;
/// DynamoDB, per million write units.
const WRITE_UNITS: f64 = 0.625;
/// DynamoDB, per million read units.
const READ_UNITS: f64 = 0.125;
/// DynamoDB's storage with point-in-time recovery, per GB and month.
const STORED: f64 = 0.25 + 0.20;
/// CloudWatch Logs, per GB.
const LOGS: f64 = 0.50;
/// Secrets Manager, per million calls.
const SECRET_CALLS: f64 = 5.0;
/// The size at which a function has one vCPU, in MB (Lambda's documentation).
const ONE_VCPU: f64 = 1769.0;
/// Bytes of a line of API Gateway's access log, as template.yaml formats it.
const ACCESS_LINE: f64 = 155.0;
/// The sizes that are compared, in MB.
const SIZES: [f64; 5] = [128.0, 256.0, 512.0, 1024.0, 1769.0];
/// The part of requests that start a sandbox: assumed.
const STARTS: f64 = 0.005;
/// Bytes of an account with its sessions: assumed.
const ACCOUNT: f64 = 3000.0;
/// Accounts for each active user: assumed.
const ACCOUNTS: f64 = 1.6;

/// What no measurement here tells of an endpoint.
struct Endpoint {
    name: &'static str,
    /// Sequential steps that it waits for the table (`local/tests/it/round_trips.rs`).
    steps: f64,
    /// The time that it waits in any case, in ms: `SMS_FLOOR_MS`.
    floor: f64,
    /// How often an active user calls it in a month.
    of_month: f64,
}

/// The time of a step, in ms: assumed.
const STEP: f64 = 5.0;

const ENDPOINTS: [Endpoint; 7] = [
    Endpoint { name: "me", steps: 1.0, floor: 0.0, of_month: 20.0 },
    Endpoint { name: "refresh", steps: 1.0, floor: 0.0, of_month: 30.0 },
    Endpoint { name: "login", steps: 2.0, floor: 0.0, of_month: 2.0 },
    Endpoint { name: "register", steps: 2.0, floor: 0.0, of_month: 0.1 },
    Endpoint { name: "request-reset", steps: 2.0, floor: 1500.0, of_month: 0.05 },
    Endpoint { name: "code", steps: 2.0, floor: 1500.0, of_month: 0.0 },
    Endpoint { name: "code-verify", steps: 2.0, floor: 0.0, of_month: 0.0 },
];

/// A price by active users: the most users of each band, the last without end, and the price of one more.
struct Competitor {
    name: &'static str,
    base: f64,
    bands: &'static [(f64, f64)],
}

/// List prices, messages not included. Cognito: the price list of the tiers of November 2024, with 10,000 users free.
/// Identity Platform and Supabase: their price pages, as stored before November 2026. Auth0: `B2C Essentials` as listed in
/// 2025, not checked since; above 30,000 users its price is agreed upon, so that part of the line is only an extrapolation.
const COMPETITORS: [Competitor; 5] = [
    Competitor { name: "Cognito Essentials", base: 0.0, bands: &[(1e4, 0.0), (f64::MAX, 0.015)] },
    Competitor {
        name: "Cognito Lite",
        base: 0.0,
        bands: &[(1e4, 0.0), (1e5, 0.0055), (1e6, 0.0046), (1e7, 0.00325), (f64::MAX, 0.0025)],
    },
    Competitor {
        name: "Identity Platform",
        base: 0.0,
        bands: &[(5e4, 0.0), (1e5, 0.0055), (1e6, 0.0046), (1e7, 0.0032), (f64::MAX, 0.0025)],
    },
    Competitor { name: "Supabase Pro", base: 25.0, bands: &[(1e5, 0.0), (f64::MAX, 0.00325)] },
    Competitor { name: "Auth0 B2C Essentials", base: 0.0, bands: &[(f64::MAX, 0.07)] },
];

impl Competitor {
    fn month(&self, users: f64) -> f64 {
        let (mut from, mut sum) = (0.0, self.base);
        for (to, price) in self.bands {
            sum += (users.min(*to) - from).max(0.0) * price;
            from = *to;
        }
        sum
    }
}

/// A million requests of one endpoint.
struct Million {
    billed: f64,
    lambda: f64,
    lambda_arm: f64,
    dynamodb: f64,
    logs: f64,
}

impl Million {
    fn total(&self) -> f64 {
        GATEWAY + self.lambda + self.dynamodb + self.logs
    }
}

pub(crate) fn run() -> Result<(), Failure> {
    let (calls, warm, memory) = (read("calls")?, read("warm")?, memory_sizes()?);
    let million = |endpoint: &Endpoint, size: f64| {
        let of = |table: &BTreeMap<String, BTreeMap<String, f64>>, column: &str| {
            let value = table.get(endpoint.name).and_then(|row| row.get(column)).copied();
            value.ok_or_else(|| Failure::from(format!("there is no `{column}` of {}; measure it first", endpoint.name)))
        };
        let cpu = of(&warm, "CPU ms")?;
        let billed = (cpu / (size / ONE_VCPU).min(1.0) + endpoint.steps * STEP).max(endpoint.floor).ceil();
        let gb_seconds = billed / 1e3 * size / 1024.0 * 1e6;
        Ok::<_, Failure>(Million {
            billed,
            lambda: REQUESTS + gb_seconds * GB_SECOND,
            lambda_arm: REQUESTS + gb_seconds * GB_SECOND_ARM,
            dynamodb: of(&calls, "write units")? * WRITE_UNITS + of(&calls, "read units")? * READ_UNITS,
            logs: (of(&warm, "bytes logged")? + ACCESS_LINE) * 1e6 / 1e9 * LOGS,
        })
    };
    let (mut rows, mut sizes) = (BTreeMap::new(), BTreeMap::new());
    let (mut of_month, mut requests) = (0.0, 0.0);
    for endpoint in &ENDPOINTS {
        let chosen = memory.get(endpoint.name).copied().ok_or("template.yaml gives it no memory")?;
        let one = million(endpoint, chosen)?;
        let total = one.total();
        rows.insert(
            endpoint.name.to_owned(),
            vec![total, GATEWAY, one.lambda, one.lambda_arm, one.dynamodb, one.logs, one.billed],
        );
        of_month += total * endpoint.of_month / 1e6;
        requests += endpoint.of_month;
        for size in SIZES {
            let one = million(endpoint, size)?;
            let is_chosen = f64::from(u8::from((size - chosen).abs() < 0.5));
            let row = vec![one.lambda - REQUESTS, one.billed, is_chosen];
            sizes.insert(format!("{} at {size:>4} MB", endpoint.name), row);
        }
    }
    let columns = vec!["$ per million", "gateway", "Lambda", "Lambda on arm64", "DynamoDB", "logs", "billed ms"];
    Table { name: "cost", title: "A million requests, in US dollars", columns, rows }.publish()?;
    let columns = vec!["GB-s, $ per million", "billed ms", "chosen"];
    Table { name: "memory", title: "A million requests by memory size", columns, rows: sizes }.publish()?;

    // Two secrets and four metrics, which every stack has: `CodesSent`, `CodesVerified`, `NoticesSent` and `LimitsReached`. Not
    // in it: a third secret, if the provider is not SNS, and alarms (`AlarmTopicArn`), $0.10 for each metric that one watches.
    let fixed = 2.0 * 0.40 + 4.0 * 0.30;
    let ours = |users: f64| {
        let starts = requests * STARTS * 2.0 * SECRET_CALLS / 1e6;
        users * (of_month + starts + ACCOUNTS * ACCOUNT / 1e9 * STORED) + fixed
    };
    let (mut rows, numbers) = (BTreeMap::new(), [1e3, 1e4, 1e5, 1e6, 1e7]);
    for users in numbers {
        let mut row = vec![ours(users), fixed];
        row.extend(COMPETITORS.iter().map(|competitor| competitor.month(users)));
        rows.insert(format!("{users:>8} users"), row);
    }
    let mut columns = vec!["Latchkey", "of it fixed"];
    columns.extend(COMPETITORS.iter().map(|competitor| competitor.name));
    let title = "A month without messages and alarms, in US dollars, of users who sign in twice, refresh 30 times and ask for themselves 20 times";
    Table { name: "months", title, columns, rows }.publish()?;
    let line = |of: &dyn Fn(f64) -> f64| numbers.iter().map(|users| (*users, of(*users))).collect::<Vec<_>>();
    let mut lines = vec![("Latchkey", line(&ours))];
    lines.extend(COMPETITORS.iter().map(|one| (one.name, line(&|users| one.month(users)))));
    draw_lines("months", "US dollars a month by active users, without messages", &lines)
}
