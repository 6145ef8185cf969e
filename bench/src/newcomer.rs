//! `newcomer`: how long a fresh clone takes until the dev server answers, and until every test has passed. The crates are
//! there already, because a download measures the network.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use crate::{Arguments, Failure, cold::as_number, lab::root, results::Table, services::Request, services::scratch};

/// What a newcomer does in a clone, each in one of its own.
const COMMANDS: [&str; 2] = ["run", "test"];

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let asked = &arguments.functions;
    if let Some(unknown) = asked.iter().find(|name| !COMMANDS.contains(&name.as_str())) {
        return Err(format!("`newcomer` measures {}, and not {unknown}", COMMANDS.join(" and ")).into());
    }
    let clone = Clone::of_the_commit()?;
    let mut rows = BTreeMap::new();
    for name in COMMANDS.iter().filter(|name| asked.is_empty() || asked.iter().any(|asked| asked == *name)) {
        let _ = fs::remove_dir_all(clone.0.join("target"));
        let (before, started) = (cpu_seconds()?, Instant::now());
        let mut child = clone.cargo(name)?;
        let compiled =
            if *name == "run" { until_it_answers(&mut child, &started)? } else { until_it_ends(&mut child)? };
        let (seconds, crates) = compiled;
        let gigabytes = size(&clone.0.join("target"))? / 1e9;
        let used = cpu_seconds()? - before;
        // Told at once, because what comes next may fail.
        println!("cargo {name}: {seconds:.0} s, {used:.0} s of CPU");
        rows.insert(format!("cargo {name}"), vec![seconds, used, as_number(crates), gigabytes]);
    }
    let columns = vec!["seconds", "CPU seconds", "crates compiled", "target, GB"];
    let table = Table { name: "newcomer", title: "A fresh clone with an empty target folder", columns, rows };
    // A part of it must not take the place of the whole.
    if table.rows.len() == COMMANDS.len() {
        return table.publish();
    }
    table.print();
    Ok(())
}

/// A clone of what is committed, which ends with this.
struct Clone(std::path::PathBuf);

impl Clone {
    fn of_the_commit() -> Result<Self, Failure> {
        let clone = Self(scratch());
        let cloned = Command::new("git").args(["clone", "--quiet"]).arg(root()).arg(&clone.0).status()?;
        let fetched = clone.command("fetch").arg("--locked").status()?;
        if cloned.success() && fetched.success() { Ok(clone) } else { Err("the repository cannot be cloned".into()) }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new("cargo");
        // What the cargo that runs this has told it must not reach the other.
        for variable in ["CARGO_INCREMENTAL", "CARGO_MANIFEST_DIR", "CARGO_TARGET_DIR", "RUSTFLAGS"] {
            command.env_remove(variable);
        }
        command.arg(name).current_dir(&self.0);
        command
    }

    fn cargo(&self, name: &str) -> Result<Child, Failure> {
        let mut command = self.command(name);
        if name == "run" {
            command.args(["--", "--port", "0"]);
        }
        Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits until the dev server answers, and ends it. Returns the seconds until then and the number of crates.
fn until_it_answers(child: &mut Child, started: &Instant) -> Result<(f64, usize), Failure> {
    let crates = count_crates(child)?;
    let output = child.stdout.take().ok_or("cargo has no output")?;
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let ready = lines.find_map(|line| Some(line.strip_prefix("Latchkey is ready on http://")?.to_owned()));
    let health = Request { method: "GET", path: "/health", headers: &[], body: "" };
    let answered = ready.ok_or("the dev server did not start".into()).and_then(|host| health.send(&host));
    let seconds = started.elapsed().as_secs_f64();
    child.kill()?;
    child.wait()?;
    let (status, _) = answered?;
    if status != 200 {
        return Err(format!("the dev server answered {status}").into());
    }
    Ok((seconds, crates.join().unwrap_or_default()))
}

/// Waits until every test has passed.
fn until_it_ends(child: &mut Child) -> Result<(f64, usize), Failure> {
    let started = Instant::now();
    let crates = count_crates(child)?;
    let output = child.stdout.take().ok_or("cargo has no output")?;
    let failed: Vec<_> =
        BufReader::new(output).lines().map_while(Result::ok).filter(|line| line.ends_with("FAILED")).collect();
    if !child.wait()?.success() {
        return Err(format!("cargo test failed: {}", failed.join(", ")).into());
    }
    Ok((started.elapsed().as_secs_f64(), crates.join().unwrap_or_default()))
}

/// Counts what cargo says that it compiles.
fn count_crates(child: &mut Child) -> Result<std::thread::JoinHandle<usize>, Failure> {
    let told = child.stderr.take().ok_or("cargo has no errors")?;
    let lines = BufReader::new(told).lines().map_while(Result::ok);
    Ok(std::thread::spawn(move || lines.filter(|line| line.trim_start().starts_with("Compiling ")).count()))
}

/// Returns the CPU time of all processes that this one has waited for, and of those that they have.
fn cpu_seconds() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/self/stat has another form")?;
    // cutime and cstime, the 16th and 17th of all, in hundredths of a second on every Linux.
    let ticks: Vec<f64> = fields.split(' ').skip(13).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// Returns the bytes of all files of a folder.
fn size(folder: &Path) -> Result<f64, Failure> {
    let mut sum = 0.0;
    for entry in fs::read_dir(folder)? {
        let (entry, path) = entry.map(|entry| (entry.metadata(), entry.path()))?;
        let entry = entry?;
        sum += if entry.is_dir() { size(&path)? } else { f64::from(u32::try_from(entry.len() / 1024)?) * 1024.0 };
    }
    Ok(sum)
}
