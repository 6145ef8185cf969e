//! `cold`: what a start costs.

use std::{collections::BTreeMap, path::Path, process::Command};

use crate::{
    Arguments, Failure,
    lab::{Lab, Step, Subject},
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
    /// The most memory that was resident, in MiB, in the start that needed least.
    pub(crate) peak: f64,
    /// The memory after the first answer that is no file's, in MiB, in the start that needed least.
    pub(crate) own: f64,
    /// TLS connections in the init phase.
    pub(crate) connections_init: f64,
    /// TLS connections in the first request.
    pub(crate) connections_first: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut rows = BTreeMap::new();
    for (name, cold) in measure(&arguments.functions(&FUNCTIONS)?, &arguments.binaries, Counting::Agreed)? {
        let Cold { init, first, init_ms, first_ms, peak, connections_init, connections_first, .. } = cold;
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
    needs_valgrind()?;
    let mut measured = Vec::new();
    Lab::start()?.walk(names, |lab, step| {
        let (answer, cold) = measure_one(lab, step, binaries, counting)?;
        eprintln!("{}: {cold:.2?}", step.function);
        measured.push((step.function.clone(), cold));
        Ok(answer)
    })?;
    Ok(measured)
}

/// Fails on a machine that cannot count instructions.
pub(crate) fn needs_valgrind() -> Result<(), Failure> {
    if Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    Err("instructions are counted by valgrind, which is not installed".into())
}

fn measure_one(lab: &Lab, step: &Step, binaries: &Path, counting: Counting<'_>) -> Result<(String, Cold), Failure> {
    let subjects = [lab.subject(step, binaries)?];
    let answer = lab.learn(&subjects)?.swap_remove(0);
    let mut cold = starts(lab, &subjects)?.swap_remove(0);
    let [subject] = &subjects;
    (cold.init, cold.first) = (count(lab, subject, INIT, counting)?, count(lab, subject, FIRST, counting)?);
    Ok((answer, cold))
}

/// Measures starts of each, in turns, without their instructions. Returns the medians in the order of the subjects.
pub(crate) fn starts(lab: &Lab, subjects: &[Subject]) -> Result<Vec<Cold>, Failure> {
    let unknown = Cold { peak: f64::INFINITY, own: f64::INFINITY, ..Cold::default() };
    let mut measured: Vec<_> = subjects.iter().map(|_| (unknown, Vec::new(), Vec::new())).collect();
    for _ in 0..STARTS {
        for (subject, (cold, init_ms, first_ms)) in subjects.iter().zip(&mut measured) {
            lab.services.forget();
            let mut sandbox = Sandbox::start(&subject.command(), &subject.variables)?;
            sandbox.ready()?;
            sandbox.settle(&lab.services)?;
            let init = sandbox.usage()?;
            cold.connections_init = cold.connections_init.max(as_number(lab.services.connections()));
            lab.services.forget();
            sandbox.invoke(&subject.event)?;
            let first = sandbox.usage()?;
            cold.connections_first = cold.connections_first.max(as_number(lab.services.connections()));
            init_ms.push(init.cpu_ms);
            first_ms.push(first.cpu_ms - init.cpu_ms);
            cold.peak = cold.peak.min(first.peak_mib);
            cold.own = cold.own.min(first.own_mib);
        }
    }
    let medians = measured.into_iter().map(|(cold, init_ms, first_ms)| Cold {
        init_ms: median(init_ms),
        first_ms: median(first_ms),
        ..cold
    });
    Ok(medians.collect())
}

/// Counts millions of instructions of a start: to the first event (`INIT`) or to the first answer (`FIRST`).
pub(crate) fn count(lab: &Lab, subject: &Subject, column: &str, counting: Counting<'_>) -> Result<f64, Failure> {
    let output = subject.binary.with_extension("callgrind");
    let valgrind = ["valgrind", "--tool=callgrind", &format!("--callgrind-out-file={}", output.display()), "-q"];
    let command = [valgrind.map(str::to_owned).to_vec(), subject.command()].concat();
    let variables = lab.without_haste(subject);
    let mut counted: Vec<f64> = Vec::new();
    while !counting.is_done(&subject.name, column, &counted) {
        lab.services.forget();
        let mut sandbox = Sandbox::start(&command, &variables)?;
        sandbox.ready()?;
        sandbox.settle(&lab.services)?;
        if column == FIRST {
            sandbox.invoke(&subject.event)?;
            sandbox.settle(&lab.services)?;
        }
        sandbox.stop()?;
        counted.push(instructions(&std::fs::read_to_string(&output)?)?);
        counted.sort_by(f64::total_cmp);
    }
    counted.first().copied().ok_or_else(|| Failure::from("nothing was counted"))
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
