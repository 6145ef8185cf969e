//! `targets`: the latest results beside what is aimed at.

use std::collections::BTreeMap;

use crate::{
    Failure,
    results::{Table, read},
};

/// A function, the result and its column, and the most that it should be.
const TARGETS: [(&str, &str, &str, f64); 18] = [
    ("me", "cold", "first answer, M instr.", 5.5),
    ("refresh", "cold", "first answer, M instr.", 9.0),
    ("request-reset", "cold", "first answer, M instr.", 12.0),
    // 14 and the hash, which takes 117.7.
    ("login", "cold", "first answer, M instr.", 131.7),
    ("me", "cold", "TLS in first", 0.0),
    ("refresh", "cold", "TLS in first", 0.0),
    ("request-reset", "cold", "TLS in first", 0.0),
    ("login", "cold", "TLS in first", 0.0),
    ("me", "cold", "peak RSS, MiB", 8.0),
    ("login", "cold", "peak RSS, MiB", 28.0),
    ("me", "size", "binary, MB", 5.5),
    ("me", "size", "zip, MB", 2.5),
    ("refresh", "size", "binary, MB", 5.5),
    ("refresh", "size", "zip, MB", 2.5),
    ("request-reset", "size", "binary, MB", 5.5),
    ("request-reset", "size", "zip, MB", 2.5),
    ("login", "size", "binary, MB", 7.5),
    ("login", "size", "zip, MB", 3.3),
];

pub(crate) fn run() -> Result<(), Failure> {
    let mut rows = BTreeMap::new();
    for (function, result, column, target) in TARGETS {
        let value = read(result)?.get(function).and_then(|row| row.get(column)).copied();
        let value = value.ok_or_else(|| format!("`{result}` has no `{column}` of {function}; measure it first"))?;
        rows.insert(format!("{function}: {column}"), vec![value, target, f64::from(u8::from(value <= target))]);
    }
    let columns = vec!["now", "target", "met"];
    Table { name: "targets", title: "Results and targets", columns, rows }.publish()
}
