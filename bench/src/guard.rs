//! `guard`: fails if a start or a request costs more than `bench/limits.json` says. Nothing in it depends on the
//! machine's speed; instructions, sizes and memory depend on the profile of the binaries. A limit is raised only in a
//! commit that says why.

use std::{collections::BTreeMap, fs};

use crate::{
    Arguments, Failure, calls,
    cold::{self, Cold, FUNCTIONS},
    lab::root,
    size,
};

/// The part by which instructions, sizes and memory may differ from build to build.
const TOLERANCE: f64 = 0.02;

/// Millions of instructions that may come on top: a handshake that could not resume another's TLS session, or a call that was
/// tried again. On a busy machine, where valgrind is slower still, every count may have one.
const HANDSHAKE: f64 = 2.0;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let limits = fs::read_to_string(root().join("bench/limits.json"))?;
    let limits: BTreeMap<String, BTreeMap<String, f64>> = serde_json::from_str(&limits)?;
    let mut measured: BTreeMap<String, BTreeMap<&str, f64>> = BTreeMap::new();
    let names = FUNCTIONS.map(str::to_owned);
    for (name, cold) in cold::measure(&names, &arguments.binaries, true)? {
        let Cold { init, first, peak, .. } = cold;
        let (binary, zip) = size::measure(&arguments.binaries, &name)?;
        let row = [
            ("init, M instr.", init),
            ("first answer, M instr.", first),
            ("peak RSS, MiB", peak),
            ("binary, MB", binary),
            ("zip, MB", zip),
        ];
        measured.entry(name).or_default().extend(row);
    }
    for (name, calls) in calls::measure(&arguments.every)? {
        if !limits.contains_key(&name) {
            return Err(format!("bench/limits.json has no limits for {name}").into());
        }
        let row = [
            ("DynamoDB calls", calls.dynamodb),
            ("read units", calls.read),
            ("write units", calls.write),
            ("TLS in init", calls.connections_init),
            ("TLS in first", calls.connections_first),
        ];
        measured.entry(name).or_default().extend(row);
    }
    let (mut compared, mut over) = (0, Vec::new());
    for (name, row) in &limits {
        for (column, limit) in row {
            let value = measured.get(name).and_then(|row| row.get(column.as_str()));
            let value = value.ok_or_else(|| format!("{name}: {column} was not measured"))?;
            // What is counted in ones has no tolerance.
            let most = if column.starts_with("TLS") || column.contains("calls") || column.contains("units") {
                *limit
            } else if column.ends_with("M instr.") {
                limit * (1.0 + TOLERANCE) + HANDSHAKE
            } else {
                limit * (1.0 + TOLERANCE)
            };
            println!("{name:14} {column:24} {value:10.2} of {limit:.2}");
            compared += 1;
            if *value > most {
                over.push(format!("{name}: {column} is {value:.2}, the limit is {limit:.2}"));
            }
        }
    }
    if compared == 0 {
        return Err("bench/limits.json has no limits".into());
    }
    if over.is_empty() { Ok(()) } else { Err(over.join("\n").into()) }
}
