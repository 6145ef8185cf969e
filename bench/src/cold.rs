//! `cold`: what a start costs.

use std::{collections::BTreeMap, path::Path, process::Command};

use crate::{Arguments, Failure, lab::Lab, results::Table, sandbox::Sandbox};

/// The functions that are measured unless others are named: those with a budget.
pub(crate) const FUNCTIONS: [&str; 5] = ["health", "me", "refresh", "request-reset", "login"];

/// How often CPU time is measured. The median counts.
const STARTS: usize = 9;

/// How often instructions are counted. The lowest counts: under valgrind all is so slow that the SDK's time sometimes runs
/// out and it tries twice.
const COUNTS: usize = 2;

/// What the start of a function costs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cold {
    /// Millions of instructions until the first event is asked for; 0 without valgrind.
    pub(crate) init: f64,
    /// The same until the first answer.
    pub(crate) first: f64,
    /// CPU time until the first event is asked for, in ms.
    pub(crate) init_ms: f64,
    /// CPU time from there to the first answer, in ms.
    pub(crate) first_ms: f64,
    /// The most memory that was resident, in MiB.
    pub(crate) peak: f64,
    /// TLS connections in the init phase.
    pub(crate) connections_init: f64,
    /// TLS connections in the first request.
    pub(crate) connections_first: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let names = if arguments.functions.is_empty() {
        FUNCTIONS.map(str::to_owned).to_vec()
    } else {
        arguments.functions.clone()
    };
    let mut rows = BTreeMap::new();
    for (name, cold) in measure(&names, &arguments.binaries, true)? {
        let Cold { init, first, init_ms, first_ms, peak, connections_init, connections_first } = cold;
        rows.insert(name, vec![first, init, init_ms, first_ms, peak, connections_init, connections_first]);
    }
    let columns = vec![
        "first answer, M instr.",
        "init, M instr.",
        "init, CPU ms",
        "first, CPU ms",
        "peak RSS, MiB",
        "TLS in init",
        "TLS in first",
    ];
    Table { name: "cold", title: "A start and its first answer over TLS", columns, rows }.publish()
}

/// Measures the starts of these functions; counts their instructions, if that is wanted and there is valgrind.
pub(crate) fn measure(names: &[String], binaries: &Path, counted: bool) -> Result<Vec<(String, Cold)>, Failure> {
    let mut lab = Lab::start(true)?;
    let has_valgrind =
        || Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    let counts = counted && has_valgrind();
    if counted && !counts {
        eprintln!("There is no valgrind, so no instructions are counted.");
    }
    names.iter().map(|name| Ok((name.clone(), measure_one(&mut lab, name, binaries, counts)?))).collect()
}

fn measure_one(lab: &mut Lab, name: &str, binaries: &Path, counts: bool) -> Result<Cold, Failure> {
    let step = lab.prepare(name)?;
    // Once by the dev server, so that all later answers come from memory.
    lab.run_once(&step, binaries)?;
    let command = lab.copy_of(binaries, name)?.display().to_string();
    let variables = lab.variables_of(name)?;
    let mut cold = Cold::default();
    let (mut init_ms, mut first_ms) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        lab.services.forget();
        let mut sandbox = Sandbox::start(std::slice::from_ref(&command), &variables)?;
        sandbox.ready()?;
        let init = sandbox.usage()?;
        cold.connections_init = as_number(lab.services.connections());
        lab.services.forget();
        sandbox.invoke(&step.event)?;
        let first = sandbox.usage()?;
        cold.connections_first = as_number(lab.services.connections());
        init_ms.push(init.cpu_ms);
        first_ms.push(first.cpu_ms - init.cpu_ms);
        cold.peak = cold.peak.max(first.peak_mib);
    }
    (cold.init_ms, cold.first_ms) = (median(init_ms), median(first_ms));
    if counts {
        let output = lab.copy_of(binaries, name)?.with_extension("callgrind");
        let valgrind =
            ["valgrind", "--tool=callgrind", &format!("--callgrind-out-file={}", output.display()), "-q", &command];
        let valgrind = valgrind.map(str::to_owned);
        let count = |answers: bool| {
            let mut lowest = f64::INFINITY;
            for _ in 0..COUNTS {
                let mut sandbox = Sandbox::start(&valgrind, &variables)?;
                sandbox.ready()?;
                if answers {
                    sandbox.invoke(&step.event)?;
                }
                sandbox.stop()?;
                lowest = lowest.min(instructions(&std::fs::read_to_string(&output)?)?);
            }
            Ok::<_, Failure>(lowest)
        };
        (cold.init, cold.first) = (count(false)?, count(true)?);
    }
    Ok(cold)
}

/// Reads millions of instructions from what callgrind wrote.
fn instructions(text: &str) -> Result<f64, Failure> {
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    let total: f64 = total.ok_or("callgrind wrote no total")?.split(' ').next().unwrap_or_default().parse()?;
    Ok(total / 1e6)
}

/// Returns the median.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns a small count as a number of a table.
pub(crate) fn as_number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::NAN, f64::from)
}
