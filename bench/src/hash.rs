//! `hash`: what a password hash costs, beside the reference implementations and what imported users have. Each has a
//! process of its own, which computes one hash when it is asked to, in turns.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use latchkey::domain::password::{Hasher, Password, PasswordHash};

use crate::{
    Arguments, Failure,
    cold::median,
    load::PASSWORD,
    peers,
    results::Table,
    sandbox::{sleeps, usage_of},
};

/// How many processes of each are measured from their first hash.
const PROCESSES: usize = 9;

/// How many turns the warm processes take.
const TURNS: usize = 40;

/// The row that the others are compared with.
const OURS: &str = "ours";

/// Ours, and how it is used: as a function does, whose start touches the memory; without that. And the comparison with an
/// imported hash.
const OF_THE_SERVICE: [&str; 3] = [OURS, "ours, cold memory", "bcrypt, cost 12"];

/// The others, which `install` fetches: the reference implementation by argon2-cffi, and libsodium by `PyNaCl`.
const OTHERS: [&str; 2] = ["libargon2", "libsodium"];

/// A bcrypt hash of cost 12 in the test vectors of jBCrypt, of another password.
const BCRYPT: &str = "$2a$12$k42ZFHFWqBp3vWli.nIn8uYyIkbvYRvodzbfbK18SSsY.CsIQPXxO";

/// The argument by which this program becomes a process that computes hashes.
const WORKER: &str = "--as";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let asked: Vec<&str> = arguments.functions.iter().map(String::as_str).collect();
    match asked.as_slice() {
        [WORKER, kind] => return serve(kind),
        [] => {}
        ["install"] => peers::install_python()?,
        _ => return Err("`hash` takes `install` or nothing".into()),
    }
    needs_release("hash")?;
    let (passes, kib) = parameters()?;
    let python = peers::python();
    let has_others = python.is_file();
    let names = OF_THE_SERVICE.into_iter().chain(OTHERS.into_iter().filter(|_| has_others));
    let names: Vec<_> = names.map(|name| (name, Worker::command(name, &python, (&passes, &kib)))).collect();

    let mut firsts: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, command) in names.iter().cycle().take(PROCESSES * names.len()) {
        firsts.entry(name).or_default().push(Worker::start(command)?.hash()?);
    }
    let mut workers = names
        .iter()
        .map(|(name, command)| Ok((*name, Worker::start(command)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    for (_, worker) in &mut workers {
        worker.hash()?;
    }
    let mut warm: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..TURNS {
        for (name, worker) in &mut workers {
            warm.entry(name).or_default().push(worker.hash()?);
        }
    }
    let medians: BTreeMap<_, _> = warm.into_iter().map(|(name, times)| (name, median(times))).collect();
    let ours = medians.get(OURS).copied().unwrap_or(f64::NAN);
    let row = |(name, warm): (&str, f64)| {
        let first = firsts.remove(name).map_or(f64::NAN, median);
        (name.to_owned(), vec![warm, first, warm / ours])
    };
    let rows = medians.into_iter().map(row).collect();
    let columns = vec!["warm, CPU ms", "first, CPU ms", "warm, ours = 1"];
    let table = Table { name: "hash", title: "One password hash", columns, rows };
    if has_others {
        return table.publish();
    }
    table.print();
    println!("\n`hash install` measures libargon2 and libsodium, too. Nothing is written without them.");
    Ok(())
}

/// Fails in a debug build of this program, for what measures its own code.
pub(crate) fn needs_release(command: &str) -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        return Err(
            format!("`{command}` measures the release profile: cargo run --release -p bench -- {command}").into()
        );
    }
    Ok(())
}

/// Returns the passes and the memory in KiB of a hash of the service, from its own text.
fn parameters() -> Result<(String, String), Failure> {
    let hash = Hasher::new()?.rehash(&Password::parse(PASSWORD)?)?;
    let parameter = |name: &str| {
        let value = hash.as_str().split(['$', ',']).find_map(|part| part.strip_prefix(name));
        value.map(str::to_owned).ok_or_else(|| Failure::from("the hash names no parameters"))
    };
    if parameter("p=")? != "1" {
        return Err("hash.py knows one lane only".into());
    }
    Ok((parameter("t=")?, parameter("m=")?))
}

/// Computes a hash of this kind for each line of the input.
fn serve(kind: &str) -> Result<(), Failure> {
    let password = Password::parse(PASSWORD)?;
    let hasher = if kind == OURS { Hasher::new()?.warmed() } else { Hasher::new()? };
    let bcrypt = PasswordHash::from_bcrypt(BCRYPT)?;
    let mut output = std::io::stdout();
    writeln!(output)?;
    for line in std::io::stdin().lines() {
        line?;
        match kind {
            "bcrypt, cost 12" => drop(hasher.verify(&password, &bcrypt)?),
            _ => drop(hasher.rehash(&password)?),
        }
        writeln!(output)?;
    }
    Ok(())
}

/// A process that computes hashes.
pub(crate) struct Worker {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts a process that hashes as a function does.
    pub(crate) fn ours() -> Result<Self, Failure> {
        Self::start(&Self::command(OURS, Path::new(""), ("", "")))
    }

    /// Returns the command of a row.
    fn command(name: &str, python: &Path, (passes, kib): (&str, &str)) -> Vec<String> {
        let (program, arguments) = if OTHERS.contains(&name) {
            (python.to_owned(), [&peers::source("hash.py").display().to_string(), name, passes, kib].map(str::to_owned))
        } else {
            (std::env::current_exe().unwrap_or_default(), ["hash", WORKER, name, ""].map(str::to_owned))
        };
        let arguments = arguments.into_iter().filter(|argument| !argument.is_empty());
        std::iter::once(program.display().to_string()).chain(arguments).collect()
    }

    /// Starts a process, and waits until it is ready.
    fn start(command: &[String]) -> Result<Self, Failure> {
        let (program, arguments) = command.split_first().ok_or("there is no command")?;
        let mut process = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = process.stdin.take().ok_or("the process has no input")?;
        let output = BufReader::new(process.stdout.take().ok_or("the process has no output")?).lines();
        let mut worker = Self { process, input, output };
        worker.wait()?;
        Ok(worker)
    }

    /// Waits until the process has said something and sleeps, so that its CPU time is exact.
    fn wait(&mut self) -> Result<(), Failure> {
        self.output.next().ok_or("a process that computes hashes has ended")??;
        while !sleeps(self.process.id())? {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Lets it compute a hash. Returns the CPU time in ms.
    pub(crate) fn hash(&mut self) -> Result<f64, Failure> {
        let before = usage_of(self.process.id())?.cpu_ms;
        writeln!(self.input)?;
        self.wait()?;
        Ok(usage_of(self.process.id())?.cpu_ms - before)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
