//! `profiles`: what a build profile costs and buys. A row per folder, a function of each kind.

use std::{collections::BTreeMap, fs};

use crate::{Arguments, Failure, cold, results::Table, size};

/// A function that hashes no password, and one that does.
const FUNCTIONS: [&str; 2] = ["me", "login"];

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut rows = BTreeMap::new();
    for entry in fs::read_dir(&arguments.binaries)? {
        let folder = entry?.path();
        if !folder.join("me").exists() {
            continue;
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let seconds = |what: &str| -> Result<f64, Failure> {
            let text = fs::read_to_string(folder.join(format!("{what}.seconds"))).unwrap_or_default();
            Ok(if text.is_empty() { f64::NAN } else { text.trim().parse()? })
        };
        let names = FUNCTIONS.map(str::to_owned);
        for (function, cold) in cold::measure(&names, &folder, cold::Counting::Agreed)? {
            let (binary, zip) = size::measure(&folder.join(&function))?;
            let row =
                vec![cold.first, cold.init, binary, zip, cold.peak, cold.init_ms + cold.first_ms, seconds(&function)?];
            rows.insert(format!("{name} {function}"), row);
        }
    }
    let columns = vec![
        "first answer, M instr.",
        "init, M instr.",
        "binary, MB",
        "zip, MB",
        "peak RSS, MiB",
        "CPU ms of both",
        "build, CPU s",
    ];
    Table { name: "profiles", title: "Build profiles", columns, rows }.publish()
}
