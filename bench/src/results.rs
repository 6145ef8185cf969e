//! Results: a table for people, JSON for the next comparison, a plot.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{Failure, lab::root};

/// A table of numbers: a row per function, a column per measure.
pub(crate) struct Table {
    /// The command that made it.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) title: &'static str,
    /// The names of the columns, with their units.
    pub(crate) columns: Vec<&'static str>,
    /// The rows by their names.
    pub(crate) rows: BTreeMap<String, Vec<f64>>,
}

impl Table {
    fn path(&self) -> PathBuf {
        root().join(format!("bench/results/{}.json", self.name))
    }

    /// Prints the table, beside the committed results of the same name.
    pub(crate) fn print(&self) {
        let before: Value =
            fs::read_to_string(self.path()).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        println!("{}\n{}\n", self.title, circumstances());
        if let Some(of) = before["of"].as_str() {
            println!("In brackets, the change since {of}.\n");
        }
        let width = self.rows.keys().map(String::len).max().unwrap_or_default().max(10);
        print!("{:width$}", "");
        for column in &self.columns {
            print!(" {column:>22}");
        }
        println!();
        for (name, values) in &self.rows {
            print!("{name:width$}");
            for (column, value) in self.columns.iter().zip(values) {
                let change = before["rows"][name][*column].as_f64().filter(|before| *before != 0.0);
                let change =
                    change.map_or(String::new(), |before| format!(" ({:+.1} %)", (value / before - 1.0) * 100.0));
                print!(" {:>22}", format!("{}{change}", shown(*value)));
            }
            println!();
        }
    }

    /// Prints the table, beside the committed results of the same name, and takes their place; but not if they have rows
    /// that were not measured now, because one table is of one machine and one commit.
    pub(crate) fn publish(&self) -> Result<(), Failure> {
        self.print();
        let path = self.path();
        let unmeasured = read(self.name).unwrap_or_default().into_keys().filter(|row| !self.rows.contains_key(row));
        let unmeasured = unmeasured.count();
        if unmeasured > 0 {
            println!(
                "\nNot written: bench/results/{}.json has {unmeasured} rows that were not measured now. Measure these as well, \
                 or delete the file first.",
                self.name
            );
            return Ok(());
        }
        let rows: BTreeMap<_, _> = self
            .rows
            .iter()
            .map(|(name, values)| (name, self.columns.iter().zip(values).collect::<BTreeMap<_, _>>()))
            .collect();
        let text = json!({"title": self.title, "of": circumstances(), "rows": rows});
        fs::write(&path, serde_json::to_string_pretty(&text)? + "\n")?;
        fs::write(path.with_extension("svg"), self.plot()?)?;
        println!("\nWritten to bench/results/{}.json and .svg", self.name);
        Ok(())
    }

    /// Draws bars of the first column.
    fn plot(&self) -> Result<String, Failure> {
        let most = self.rows.values().filter_map(|values| values.first()).copied().fold(f64::MIN_POSITIVE, f64::max);
        let column = self.columns.first().copied().unwrap_or_default();
        let height = 40 + 20 * self.rows.len();
        // Where the names end and the bars begin. A character is at most some 7 wide on average.
        let ends = self.rows.keys().map(String::len).max().unwrap_or_default().max(20) * 7 + 10;
        let begins = ends + 8;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"{height}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<text x=\"8\" y=\"18\" font-weight=\"bold\">{}: {column}</text>\n",
            self.title
        );
        for (row, (name, values)) in self.rows.iter().enumerate() {
            let value = values.first().copied().unwrap_or_default();
            let (y, length) = (34 + 20 * row, value / most * 400.0);
            writeln!(
                svg,
                "<text x=\"{ends}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
                 <rect x=\"{begins}\" y=\"{y}\" width=\"{length:.1}\" height=\"14\" fill=\"#4477aa\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{}</text>",
                y + 11,
                length + f64::from(u32::try_from(begins)?) + 6.0,
                y + 11,
                shown(value)
            )?;
        }
        Ok(svg + "</svg>\n")
    }
}

/// Draws lines on logarithmic axes: by name, points with a place and a value. A value of 0 is left out.
pub(crate) fn draw_lines(name: &str, title: &str, lines: &[(&str, Vec<(f64, f64)>)]) -> Result<(), Failure> {
    const COLORS: [&str; 7] = ["#cc3311", "#4477aa", "#228833", "#aa7700", "#aa3377", "#66aabb", "#777777"];
    let points = || lines.iter().flat_map(|(_, line)| line).filter(|(_, value)| *value > 0.0);
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let logs = points().map(|point| of(point).log10());
        let (least, most) = logs.fold((f64::MAX, f64::MIN), |(least, most), log| (least.min(log), most.max(log)));
        (least.floor(), most.ceil())
    };
    let ((left, right), (low, high)) = (ends(|point| point.0), ends(|point| point.1));
    let across = |place: f64| 60.0 + (place.log10() - left) / (right - left) * 440.0;
    let down = |value: f64| 330.0 - (value.log10() - low) / (high - low) * 290.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"360\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"720\" height=\"360\" fill=\"#fff\"/>\
         <text x=\"8\" y=\"18\" font-weight=\"bold\">{title}</text>\n"
    );
    let mut log = low;
    while log <= high {
        let y = down(10f64.powf(log));
        writeln!(
            svg,
            "<line x1=\"60\" x2=\"500\" y1=\"{y:.0}\" y2=\"{y:.0}\" stroke=\"#ddd\"/>\
             <text x=\"54\" y=\"{y:.0}\" text-anchor=\"end\">{}</text>",
            10f64.powf(log)
        )?;
        log += 1.0;
    }
    log = left;
    while log <= right {
        let x = across(10f64.powf(log));
        writeln!(svg, "<text x=\"{x:.0}\" y=\"350\" text-anchor=\"middle\">{}</text>", 10f64.powf(log))?;
        log += 1.0;
    }
    for (row, ((name, line), color)) in lines.iter().zip(COLORS.iter().cycle()).enumerate() {
        let line: Vec<_> = line.iter().filter(|(_, value)| *value > 0.0).collect();
        let path: Vec<_> =
            line.iter().map(|(place, value)| format!("{:.1},{:.1}", across(*place), down(*value))).collect();
        writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>\
             <text x=\"512\" y=\"{}\" fill=\"{color}\">{name}</text>",
            path.join(" "),
            48 + 18 * row
        )?;
    }
    fs::write(root().join(format!("bench/results/{name}.svg")), svg + "</svg>\n")?;
    Ok(())
}

/// Returns a number as tables show it.
pub(crate) fn shown(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.2}") }
}

/// Returns what a program prints, or nothing if it cannot be run.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output().ok();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Returns the version of the compiler.
pub(crate) fn compiler() -> String {
    output("rustc", &["--version"])
}

/// Returns the machine, the date and the versions of a result.
fn circumstances() -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let processor = processor.trim_start_matches([' ', '\t', ':']).to_owned();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (date, rustc, commit) = (
        output("date", &["--utc", "--date", &format!("@{}", now()), "+%F"]),
        compiler(),
        output("git", &["rev-parse", "--short", "HEAD"]),
    );
    format!("{date}, {commit}, {rustc}, {cores} cores of {processor}")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Reads a committed result: rows by name, each with its columns.
pub(crate) fn read(name: &str) -> Result<BTreeMap<String, BTreeMap<String, f64>>, Failure> {
    let path = root().join(format!("bench/results/{name}.json"));
    let text = fs::read_to_string(&path).map_err(|_| format!("there is no result of `{name}` yet"))?;
    let value: Value = serde_json::from_str(&text)?;
    Ok(serde_json::from_value(value["rows"].clone())?)
}
