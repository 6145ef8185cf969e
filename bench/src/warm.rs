//! `warm`: what one request more costs.

use std::collections::BTreeMap;

use crate::{
    Arguments, Failure,
    cold::{FUNCTIONS, median},
    lab::Lab,
    results::Table,
    sandbox::Sandbox,
};

/// How many requests are measured, after as many to warm up.
const REQUESTS: usize = 40;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let names = if arguments.functions.is_empty() {
        FUNCTIONS.map(str::to_owned).to_vec()
    } else {
        arguments.functions.clone()
    };
    let (mut lab, mut rows) = (Lab::start(true)?, BTreeMap::new());
    for name in names {
        let step = lab.prepare(&name)?;
        lab.run_once(&step, &arguments.binaries)?;
        let command = lab.copy_of(&arguments.binaries, &name)?.display().to_string();
        let mut sandbox = Sandbox::start(&[command], &lab.variables_of(&name)?)?;
        sandbox.ready()?;
        let (mut cpu, mut wall) = (Vec::new(), Vec::new());
        for request in 0..2 * REQUESTS {
            let before = sandbox.usage()?;
            let (_, took) = sandbox.invoke(&step.event)?;
            if request >= REQUESTS {
                cpu.push(sandbox.usage()?.cpu_ms - before.cpu_ms);
                wall.push(took.as_secs_f64() * 1e3);
            }
        }
        rows.insert(name, vec![median(cpu), median(wall), sandbox.usage()?.peak_mib]);
    }
    let columns = vec!["CPU ms", "wall ms", "peak RSS, MiB"];
    Table { name: "warm", title: "A warm request over TLS, median", columns, rows }.publish()
}
