//! `cold`: what a start costs.

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use crate::{
    Arguments, Failure,
    lab::{Lab, Step},
    results::Table,
    sandbox::Sandbox,
};

/// The functions that are measured unless others are named: those with a budget of instructions, memory and size.
pub(crate) const FUNCTIONS: [&str; 5] = ["health", "me", "refresh", "request-reset", "login"];

/// How often CPU time is measured. The median counts.
const STARTS: usize = 9;

/// How often instructions are counted, at least and at most. It is enough when two counts agree on the lowest. Under
/// valgrind all is so slow that the SDK's time sometimes runs out, or that a connection comes too early to resume another's
/// TLS session, and either only ever adds.
const COUNTS: (usize, usize) = (4, 10);

/// The part by which two counts may differ that agree.
const AGREEMENT: f64 = 0.003;

/// The time between a start and its first event. A connection that the start began and has not completed yet counts to
/// the start. On Lambda, the first event is there at once.
pub(crate) const SETTLING: Duration = Duration::from_millis(50);

/// What the start of a function costs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cold {
    /// Millions of instructions until the first event is asked for; 0 if they are not counted.
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
    let mut rows = BTreeMap::new();
    for (name, cold) in measure(&arguments.functions()?, &arguments.binaries, true)? {
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

/// Measures the starts of these functions, and counts their instructions if that is wanted.
pub(crate) fn measure(names: &[String], binaries: &Path, counts: bool) -> Result<Vec<(String, Cold)>, Failure> {
    if counts && !Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Err("instructions are counted by valgrind, which is not installed".into());
    }
    let mut measured = Vec::new();
    Lab::start()?.walk(names, |lab, step| {
        let (answer, cold) = measure_one(lab, step, binaries, counts)?;
        eprintln!("{}: {cold:.2?}", step.function);
        measured.push((step.function.clone(), cold));
        Ok(answer)
    })?;
    Ok(measured)
}

fn measure_one(lab: &mut Lab, step: &Step, binaries: &Path, counts: bool) -> Result<(String, Cold), Failure> {
    // Once by the dev server, so that all later answers come from memory.
    lab.services.record();
    let answer = lab.run_once(step, binaries)?;
    lab.services.replay();
    let command = lab.copy_of(binaries, &step.function)?.display().to_string();
    let variables = lab.variables_of(&step.function)?;
    let mut cold = Cold::default();
    let (mut init_ms, mut first_ms) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        lab.services.forget();
        let mut sandbox = Sandbox::start(std::slice::from_ref(&command), &variables)?;
        sandbox.ready()?;
        std::thread::sleep(SETTLING);
        let init = sandbox.usage()?;
        cold.connections_init = cold.connections_init.max(as_number(lab.services.connections()));
        lab.services.forget();
        sandbox.invoke(&step.event)?;
        let first = sandbox.usage()?;
        cold.connections_first = cold.connections_first.max(as_number(lab.services.connections()));
        init_ms.push(init.cpu_ms);
        first_ms.push(first.cpu_ms - init.cpu_ms);
        cold.peak = cold.peak.max(first.peak_mib);
    }
    (cold.init_ms, cold.first_ms) = (median(init_ms), median(first_ms));
    if counts {
        let output = Path::new(&command).with_extension("callgrind");
        let valgrind =
            ["valgrind", "--tool=callgrind", &format!("--callgrind-out-file={}", output.display()), "-q", &command];
        let valgrind = valgrind.map(str::to_owned);
        let count = |answers: bool| {
            let mut counted: Vec<f64> = Vec::new();
            for _ in 0..COUNTS.1 {
                let mut sandbox = Sandbox::start(&valgrind, &variables)?;
                sandbox.ready()?;
                if answers {
                    sandbox.invoke(&step.event)?;
                }
                sandbox.stop()?;
                counted.push(instructions(&std::fs::read_to_string(&output)?)?);
                counted.sort_by(f64::total_cmp);
                if let [lowest, next, ..] = counted.as_slice()
                    && counted.len() >= COUNTS.0
                    && *next <= lowest * (1.0 + AGREEMENT)
                {
                    break;
                }
            }
            counted.first().copied().ok_or_else(|| Failure::from("nothing was counted"))
        };
        (cold.init, cold.first) = (count(false)?, count(true)?);
    }
    Ok((answer, cold))
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
