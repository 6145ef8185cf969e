//! `calls`: what each endpoint asks of AWS.

use std::{collections::BTreeMap, path::Path};

use crate::{Arguments, Failure, cold::as_number, lab::Lab, results::Table, sandbox::Sandbox};

/// What one request asks of AWS.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls {
    /// Calls to DynamoDB.
    pub(crate) dynamodb: f64,
    /// Consumed read units.
    pub(crate) read: f64,
    /// Consumed write units.
    pub(crate) write: f64,
    /// Calls to Secrets Manager of a start.
    pub(crate) secrets: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let measured = measure(&arguments.binaries)?;
    let rows =
        measured.into_iter().map(|(name, calls)| (name, vec![calls.write, calls.read, calls.dynamodb, calls.secrets]));
    let columns = vec!["write units", "read units", "DynamoDB calls", "secrets read in init"];
    Table { name: "calls", title: "One request of each event", columns, rows: rows.collect() }.publish()
}

/// Sends every event in their order: to its function if its binary exists, otherwise to the dev server. What a start asks is not counted to the request, but for the
/// secrets.
pub(crate) fn measure(binaries: &Path) -> Result<BTreeMap<String, Calls>, Failure> {
    let (mut lab, mut measured) = (Lab::start(false)?, BTreeMap::new());
    for step in Lab::steps()? {
        let of = lab.step(&step)?;
        if !binaries.join(&of.function).exists() {
            // The authorizer has no address there.
            if step["status"].is_u64() {
                lab.send(&step)?;
            }
            continue;
        }
        let command = lab.copy_of(binaries, &of.function)?.display().to_string();
        lab.services.forget();
        let mut sandbox = Sandbox::start(&[command], &lab.variables_of(&of.function)?)?;
        sandbox.ready()?;
        let secrets = as_number(lab.services.calls().iter().filter(|call| call.operation == "GetSecretValue").count());
        lab.services.forget();
        let (answer, _) = sandbox.invoke(&of.event)?;
        lab.keep(&step, &answer)?;
        let calls = lab.services.calls();
        let sum = |of: fn(&(f64, f64)) -> f64| calls.iter().map(|call| of(&call.units)).sum();
        let dynamodb = as_number(calls.iter().filter(|call| call.operation != "GetSecretValue").count());
        let calls = Calls { dynamodb, read: sum(|units| units.0), write: sum(|units| units.1), secrets };
        measured.insert(of.function, calls);
    }
    Ok(measured)
}
