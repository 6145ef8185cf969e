//! `warm`: what one request more costs.

use std::collections::BTreeMap;

use crate::{
    Arguments, Failure,
    cold::{as_number, median},
    lab::{Lab, Subject},
    results::Table,
    sandbox::Sandbox,
};

/// The functions that are measured unless others are named: those whose requests `cost` prices.
const FUNCTIONS: [&str; 8] = ["health", "me", "refresh", "login", "register", "request-reset", "code", "code-verify"];

/// How many requests are measured, after as many to warm up.
const REQUESTS: usize = 40;

/// What one more request uses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Warm {
    /// CPU time, in ms.
    pub(crate) cpu_ms: f64,
    /// Time until the answer, in ms.
    pub(crate) wall_ms: f64,
    /// The most memory that was resident after all requests, in MiB.
    pub(crate) peak_mib: f64,
    /// Bytes in the log.
    pub(crate) logged: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut rows = BTreeMap::new();
    Lab::start()?.walk(&arguments.functions(&FUNCTIONS)?, |lab, step| {
        let subjects = [lab.subject(step, &arguments.binaries)?];
        let answer = lab.learn(&subjects)?.swap_remove(0);
        for Warm { cpu_ms, wall_ms, peak_mib, logged } in measure(&subjects)? {
            rows.insert(step.function.clone(), vec![cpu_ms, wall_ms, peak_mib, logged.round()]);
        }
        Ok(answer)
    })?;
    let columns = vec!["CPU ms", "wall ms", "peak RSS, MiB", "bytes logged"];
    Table { name: "warm", title: "A warm request over TLS, median", columns, rows }.publish()
}

/// Measures further requests of each, in turns. Returns the medians in the order of the subjects.
pub(crate) fn measure(subjects: &[Subject]) -> Result<Vec<Warm>, Failure> {
    let started = |subject: &Subject| {
        let mut sandbox = Sandbox::start(&subject.command(), &subject.variables)?;
        sandbox.ready()?;
        Ok::<_, Failure>((sandbox, Vec::new(), Vec::new(), 0))
    };
    let mut sandboxes = subjects.iter().map(started).collect::<Result<Vec<_>, _>>()?;
    for request in 0..2 * REQUESTS {
        for (subject, (sandbox, cpu, wall, logged)) in subjects.iter().zip(&mut sandboxes) {
            if request == REQUESTS {
                *logged = sandbox.logged();
            }
            let before = sandbox.usage()?;
            let (_, took) = sandbox.invoke(&subject.event)?;
            if request >= REQUESTS {
                cpu.push(sandbox.usage()?.cpu_ms - before.cpu_ms);
                wall.push(took.as_secs_f64() * 1e3);
            }
        }
    }
    let medians = sandboxes.into_iter().map(|(sandbox, cpu, wall, logged)| {
        // The last line may still be on its way, which is a small part of all.
        let logged = as_number(usize::try_from(sandbox.logged() - logged)?) / as_number(REQUESTS);
        Ok(Warm { cpu_ms: median(cpu), wall_ms: median(wall), peak_mib: sandbox.usage()?.peak_mib, logged })
    });
    medians.collect()
}
