//! `cold`: what a start costs.

use std::{collections::BTreeMap, path::Path, process::Command};

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

/// How often instructions are counted, at least and at most. It is enough when two counts agree on the lowest: calls at the
/// same time may be answered in another order, which only ever adds.
const COUNTS: (usize, usize) = (2, 10);

/// How often instructions are counted at most, until a count is within a limit.
const TRIES: usize = 10;

/// The part by which two counts may differ that agree.
const AGREEMENT: f64 = 0.003;

/// The columns of instructions.
pub(crate) const FIRST: &str = "first answer, M instr.";
pub(crate) const INIT: &str = "init, M instr.";

/// Whether instructions are counted, and how often.
#[derive(Clone, Copy)]
pub(crate) enum Counting<'a> {
    /// Until two counts agree on the lowest.
    Agreed,
    /// Until a count is at most what this returns for a function and a column.
    Within(&'a dyn Fn(&str, &str) -> f64),
}

impl Counting<'_> {
    /// Returns whether further counts of a function would change nothing. The counts are in their order.
    fn is_done(self, function: &str, column: &str, counted: &[f64]) -> bool {
        let Some(lowest) = counted.first() else { return false };
        match self {
            Self::Agreed => {
                let is_agreed = counted.get(1).is_some_and(|next| *next <= lowest * (1.0 + AGREEMENT));
                (is_agreed && counted.len() >= COUNTS.0) || counted.len() >= COUNTS.1
            }
            Self::Within(limit) => *lowest <= limit(function, column) || counted.len() >= TRIES,
        }
    }
}

/// What the start of a function costs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cold {
    /// Millions of instructions until the first event is asked for.
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
    for (name, cold) in measure(&arguments.functions()?, &arguments.binaries, Counting::Agreed)? {
        let Cold { init, first, init_ms, first_ms, peak, connections_init, connections_first } = cold;
        rows.insert(name, vec![first, init, init_ms, first_ms, peak, connections_init, connections_first]);
    }
    let columns = vec![FIRST, INIT, "init, CPU ms", "first, CPU ms", "peak RSS, MiB", "TLS in init", "TLS in first"];
    Table { name: "cold", title: "A start and its first answer over TLS", columns, rows }.publish()
}

/// Measures the starts of these functions.
pub(crate) fn measure(
    names: &[String],
    binaries: &Path,
    counting: Counting<'_>,
) -> Result<Vec<(String, Cold)>, Failure> {
    if !Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Err("instructions are counted by valgrind, which is not installed".into());
    }
    let mut measured = Vec::new();
    Lab::start()?.walk(names, |lab, step| {
        let (answer, cold) = measure_one(lab, step, binaries, counting)?;
        eprintln!("{}: {cold:.2?}", step.function);
        measured.push((step.function.clone(), cold));
        Ok(answer)
    })?;
    Ok(measured)
}

fn measure_one(lab: &mut Lab, step: &Step, binaries: &Path, counting: Counting<'_>) -> Result<(String, Cold), Failure> {
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
        sandbox.settle(&lab.services)?;
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
    let output = Path::new(&command).with_extension("callgrind");
    let valgrind =
        ["valgrind", "--tool=callgrind", &format!("--callgrind-out-file={}", output.display()), "-q", &command];
    let valgrind = valgrind.map(str::to_owned);
    let variables = lab.variables_without_haste(&step.function)?;
    let count = |column: &str| {
        let mut counted: Vec<f64> = Vec::new();
        while !counting.is_done(&step.function, column, &counted) {
            lab.services.forget();
            let mut sandbox = Sandbox::start(&valgrind, &variables)?;
            sandbox.ready()?;
            sandbox.settle(&lab.services)?;
            if column == FIRST {
                sandbox.invoke(&step.event)?;
                sandbox.settle(&lab.services)?;
            }
            sandbox.stop()?;
            counted.push(instructions(&std::fs::read_to_string(&output)?)?);
            counted.sort_by(f64::total_cmp);
        }
        counted.first().copied().ok_or_else(|| Failure::from("nothing was counted"))
    };
    (cold.init, cold.first) = (count(INIT)?, count(FIRST)?);
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
