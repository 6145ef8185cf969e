//! `targets`: the latest results beside what is aimed at.

use std::collections::BTreeMap;

use crate::{
    Failure,
    baseline::{OF_IT_HASH, START, WARM},
    cold::FIRST,
    results::{Table, read},
};

/// A function, the result and its column, and the most that it should be.
const TARGETS: [(&str, &str, &str, f64); 18] = [
    ("me", "cold", FIRST, 5.5),
    ("refresh", "cold", FIRST, 9.0),
    ("request-reset", "cold", FIRST, 12.0),
    // 14 and the hash, which takes 117.7.
    ("login", "cold", FIRST, 131.7),
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

/// Targets of ratios and of what is no function: what is compared, its value by the results, and the most that it should
/// be.
fn others() -> Result<Vec<(&'static str, f64, f64)>, Failure> {
    let of = |row, column| cell("baseline", row, column);
    let times = |row, other, column| Ok::<_, Failure>(of(row, column)? / of(other, column)?);
    let least_login = of("login", OF_IT_HASH)? + 2.0 * of("bare", WARM)?;
    Ok(vec![
        ("me: instructions, of a bare function", times("me", "bare", FIRST)?, 1.2),
        ("me: instructions, of one by the SDK's defaults", times("me", "bare-defaults", FIRST)?, 1.0 / 80.0),
        ("me: CPU time of a start, of one by the SDK's defaults", times("me", "bare-defaults", START)?, 0.1),
        ("me: CPU time, warm, of a bare function", times("me", "bare", WARM)?, 1.2),
        ("login: CPU time, warm, of a hash and two bare functions", of("login", WARM)? / least_login, 1.06),
        ("cargo run, seconds", cell("newcomer", "cargo run", "seconds")?, 150.0),
        ("cargo test, seconds", cell("newcomer", "cargo test", "seconds")?, 360.0),
        ("a month of 100,000 users, $", cell("months", "  100000 users", "Latchkey")?, 12.0),
        ("of it fixed, $", cell("months", "  100000 users", "of it fixed")?, 2.0),
    ])
}

/// Returns a value of the latest results.
fn cell(result: &str, row: &str, column: &str) -> Result<f64, Failure> {
    let value = read(result)?.get(row).and_then(|row| row.get(column)).copied();
    value.ok_or_else(|| format!("`{result}` has no `{column}` of {}; measure it first", row.trim()).into())
}

pub(crate) fn run() -> Result<(), Failure> {
    let mut rows = BTreeMap::new();
    let mut insert = |name: String, value: f64, most: f64| {
        rows.insert(name, vec![value, most, f64::from(u8::from(value <= most))]);
    };
    for (function, result, column, most) in TARGETS {
        insert(format!("{function}: {column}"), cell(result, function, column)?, most);
    }
    for (name, value, most) in others()? {
        insert(name.to_owned(), value, most);
    }
    let columns = vec!["now", "target", "met"];
    Table { name: "targets", title: "Results and targets", columns, rows }.publish()
}
