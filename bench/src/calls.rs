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
    /// TLS connections of a start.
    pub(crate) connections_init: f64,
    /// TLS connections of the request.
    pub(crate) connections_first: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let measured = measure(&arguments.every)?;
    let rows = measured.into_iter().map(|(name, calls)| {
        let Calls { dynamodb, read, write, secrets, connections_init, connections_first } = calls;
        (name, vec![write, read, dynamodb, secrets, connections_init, connections_first])
    });
    let columns = vec!["write units", "read units", "DynamoDB calls", "secrets read", "TLS in init", "TLS in first"];
    Table { name: "calls", title: "The first request of each function", columns, rows: rows.collect() }.publish()
}

/// Sends every event to a new sandbox of its function, in their order. What a start asks is not counted to the request,
/// but for the secrets.
pub(crate) fn measure(binaries: &Path) -> Result<BTreeMap<String, Calls>, Failure> {
    let (mut lab, mut measured) = (Lab::start()?, BTreeMap::new());
    lab.services.record();
    lab.walk(&Lab::functions()?, |lab, step| {
        let subject = lab.subject(step, binaries)?;
        lab.services.forget();
        let mut sandbox = Sandbox::start(&subject.command(), &lab.without_haste(&subject))?;
        sandbox.ready()?;
        sandbox.settle(&lab.services)?;
        let secrets = as_number(lab.services.calls().iter().filter(|call| call.operation == "GetSecretValue").count());
        let connections_init = as_number(lab.services.connections());
        lab.services.forget();
        let (answer, _) = sandbox.invoke(&step.event)?;
        sandbox.settle(&lab.services)?;
        let connections_first = as_number(lab.services.connections());
        let calls = lab.services.calls();
        let sum = |of: fn(&(f64, f64)) -> f64| calls.iter().fold(0.0, |sum, call| sum + of(&call.units));
        let dynamodb = as_number(calls.iter().filter(|call| call.operation != "GetSecretValue").count());
        let (read, write) = (sum(|units| units.0), sum(|units| units.1));
        let calls = Calls { dynamodb, read, write, secrets, connections_init, connections_first };
        measured.insert(step.function.clone(), calls);
        Ok(answer)
    })?;
    Ok(measured)
}
