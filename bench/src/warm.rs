//! `warm`: what one request more costs.

use std::collections::BTreeMap;

use crate::{
    Arguments, Failure,
    cold::{as_number, median},
    lab::Lab,
    results::Table,
    sandbox::Sandbox,
};

/// How many requests are measured, after as many to warm up.
const REQUESTS: usize = 40;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut rows = BTreeMap::new();
    Lab::start()?.walk(&arguments.functions()?, |lab, step| {
        lab.services.record();
        let answer = lab.run_once(step, &arguments.binaries)?;
        lab.services.replay();
        let command = lab.copy_of(&arguments.binaries, &step.function)?.display().to_string();
        let mut sandbox = Sandbox::start(&[command], &lab.variables_of(&step.function)?)?;
        sandbox.ready()?;
        let (mut cpu, mut wall, mut logged) = (Vec::new(), Vec::new(), 0);
        for request in 0..2 * REQUESTS {
            if request == REQUESTS {
                logged = sandbox.logged();
            }
            let before = sandbox.usage()?;
            let (_, took) = sandbox.invoke(&step.event)?;
            if request >= REQUESTS {
                cpu.push(sandbox.usage()?.cpu_ms - before.cpu_ms);
                wall.push(took.as_secs_f64() * 1e3);
            }
        }
        // The last line may still be on its way, which is a small part of all.
        let bytes = as_number(usize::try_from(sandbox.logged() - logged)?) / as_number(REQUESTS);
        let row = vec![median(cpu), median(wall), sandbox.usage()?.peak_mib, bytes.round()];
        rows.insert(step.function.clone(), row);
        Ok(answer)
    })?;
    let columns = vec!["CPU ms", "wall ms", "peak RSS, MiB", "bytes logged"];
    Table { name: "warm", title: "A warm request over TLS, median", columns, rows }.publish()
}
