//! `guard`: fails if a start or a request costs more than `bench/limits.json` says. Nothing in it depends on the
//! machine's speed or load: what these change only ever adds, so each figure is measured until it is within its limit, or
//! often enough to tell that it will not be. A limit is raised only in a commit that says why.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    Arguments, Failure, calls,
    cold::{self, Cold, Counting, FIRST, FUNCTIONS, INIT},
    lab::root,
    results, size,
};

/// The part by which instructions and sizes may differ from build to build.
const TOLERANCE: f64 = 0.02;

/// Millions of instructions that are free beside: those of the dynamic loader depend on libc and the processor, and are most of
/// what the smallest functions start with.
const LOADER: f64 = 0.05;

/// The part by which memory of a function's own may differ.
const TOLERANCE_OF_MEMORY: f64 = 0.05;

/// The memory of its own that is free beside, in MiB: that of libc and of the dynamic loader, most of what the smallest
/// functions have.
const LIBC: f64 = 0.1;

/// The part by which all resident memory may differ: the kernel decides how many pages of a file it maps at once. Between two
/// machines with the same binary, it was 7 %.
const TOLERANCE_OF_PAGES: f64 = 0.15;

/// The columns of memory.
const OWN: &str = "own memory, MiB";
const PEAK: &str = "peak RSS, MiB";

/// How often every function's calls are counted at most, until all are within their limits. They are counted again from the
/// first, because most events work once.
const WALKS: usize = 4;

/// How often they are counted for new limits. The least counts.
const WALKS_TO_RENEW: usize = 2;

/// A figure per function and column.
type Figures = BTreeMap<String, BTreeMap<String, f64>>;

/// What `bench/limits.json` says.
#[derive(Deserialize, Serialize)]
struct Limits {
    /// The compiler that the limits were measured with.
    of: String,
    limits: Figures,
}

impl Limits {
    fn path() -> PathBuf {
        root().join("bench/limits.json")
    }

    fn read() -> Result<Self, Failure> {
        let limits: Self = serde_json::from_str(&fs::read_to_string(Self::path())?)?;
        if limits.limits.is_empty() {
            return Err("bench/limits.json has no limits".into());
        }
        Ok(limits)
    }

    /// Writes a line per function, so that a difference shows what has changed.
    fn write(&self) -> Result<(), Failure> {
        let mut text = format!("{{\n  \"of\": {},\n  \"limits\": {{\n", serde_json::to_string(&self.of)?);
        let last = self.limits.keys().next_back();
        for (name, row) in &self.limits {
            let row: Vec<_> =
                row.iter().map(|(column, value)| format!("\"{column}\": {}", results::shown(*value))).collect();
            let comma = if Some(name) == last { "" } else { "," };
            writeln!(text, "    \"{name}\": {{{}}}{comma}", row.join(", "))?;
        }
        fs::write(Self::path(), text + "  }\n}\n")?;
        Ok(())
    }

    /// Returns the most that is accepted. A missing limit is told by [`compare`]; measuring again would not mend it.
    fn most(&self, function: &str, column: &str) -> f64 {
        let limit = self.limits.get(function).and_then(|row| row.get(column)).copied();
        limit.map_or(f64::INFINITY, |limit| {
            let (part, beside) = allowance(column);
            limit * (1.0 + part) + beside
        })
    }
}

/// Returns whether a figure is counted in ones.
fn is_count(column: &str) -> bool {
    column.starts_with("TLS") || column.contains("calls") || column.contains("units")
}

/// Returns by how much a figure may be above its limit: the part of it, and what is free beside.
fn allowance(column: &str) -> (f64, f64) {
    match column {
        INIT | FIRST => (TOLERANCE, LOADER),
        OWN => (TOLERANCE_OF_MEMORY, LIBC),
        PEAK => (TOLERANCE_OF_PAGES, 0.0),
        _ if is_count(column) => (0.0, 0.0),
        _ => (TOLERANCE, 0.0),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    // What is missing is told before minutes have passed.
    let mut measured = Figures::new();
    for name in FUNCTIONS {
        let (binary, zip) = size::measure(&arguments.binaries.join(name))?;
        put(&mut measured, name, &[("binary, MB", binary), ("zip, MB", zip)]);
    }
    if arguments.renews {
        return renew(arguments, measured);
    }
    let limits = Limits::read()?;
    for walk in 1..=WALKS {
        count_calls(arguments, &mut measured)?;
        let mut counts =
            measured.iter().flat_map(|(name, row)| row.iter().map(move |(column, value)| (name, column, value)));
        if !counts.any(|(name, column, value)| is_count(column) && *value > limits.most(name, column)) {
            break;
        }
        eprintln!("calls, {walk} of at most {WALKS}: something is over its limit");
    }
    count_instructions(arguments, &mut measured, Counting::Within(&|name, column| limits.most(name, column)))?;
    compare(&limits, &measured)
}

/// Writes what is measured now as the new limits, and tells what has changed.
fn renew(arguments: &Arguments, mut measured: Figures) -> Result<(), Failure> {
    let before = Limits::read().map_or_else(|_| Figures::new(), |limits| limits.limits);
    for _ in 0..WALKS_TO_RENEW {
        count_calls(arguments, &mut measured)?;
    }
    count_instructions(arguments, &mut measured, Counting::Agreed)?;
    for (name, row) in &measured {
        for (column, value) in row {
            match before.get(name).and_then(|row| row.get(column)) {
                None => println!("{name:20} {column:24} {value:10.2}, new"),
                Some(old) if (value - old).abs() > old * 0.005 => {
                    println!("{name:20} {column:24} {value:10.2}, was {old:.2}");
                }
                Some(_) => {}
            }
        }
    }
    Limits { of: results::compiler(), limits: measured }.write()?;
    println!("\nWritten to bench/limits.json. Say in the commit why what has become more had to.");
    Ok(())
}

/// Keeps the least of what was measured for a function.
fn put(measured: &mut Figures, name: &str, row: &[(&str, f64)]) {
    let of = measured.entry(name.to_owned()).or_default();
    for (column, value) in row {
        let least = of.entry((*column).to_owned()).or_insert(*value);
        *least = least.min(*value);
    }
}

fn count_calls(arguments: &Arguments, measured: &mut Figures) -> Result<(), Failure> {
    for (name, calls) in calls::measure(&arguments.every)? {
        let row = [
            ("DynamoDB calls", calls.dynamodb),
            ("read units", calls.read),
            ("write units", calls.write),
            ("TLS in init", calls.connections_init),
            ("TLS in first", calls.connections_first),
        ];
        put(measured, &name, &row);
    }
    Ok(())
}

fn count_instructions(arguments: &Arguments, measured: &mut Figures, counting: Counting<'_>) -> Result<(), Failure> {
    for (name, cold) in cold::measure(&FUNCTIONS.map(str::to_owned), &arguments.binaries, counting)? {
        let Cold { init, first, peak, own, .. } = cold;
        put(measured, &name, &[(INIT, init), (FIRST, first), (PEAK, peak), (OWN, own)]);
    }
    Ok(())
}

fn compare(limits: &Limits, measured: &Figures) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for (name, row) in measured {
        for (column, value) in row {
            match limits.limits.get(name).and_then(|row| row.get(column)) {
                None => wrong.push(format!("{name}: {column} is {value:.2} and has no limit")),
                Some(limit) => {
                    let most = limits.most(name, column);
                    println!("{name:20} {column:24} {value:10.2} of {most:.2}");
                    if *value > most {
                        wrong.push(format!("{name}: {column} is {value:.2}, the limit is {limit:.2}"));
                    }
                }
            }
        }
    }
    for (name, row) in &limits.limits {
        let missing = row.keys().filter(|column| !measured.get(name).is_some_and(|row| row.contains_key(*column)));
        wrong.extend(missing.map(|column| format!("{name}: {column} has a limit and was not measured")));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let compiler = results::compiler();
    if compiler != limits.of {
        wrong.push(format!("The limits are those of {}, and this is {compiler}.", limits.of));
    }
    wrong.push("If it has to be: cargo run -p bench -- guard --renew, in a commit that says why.".to_owned());
    Err(wrong.join("\n").into())
}
