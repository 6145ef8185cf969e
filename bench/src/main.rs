//! `cargo run -p bench -- COMMAND`: what a start, a request and a month cost.
//!
//! The functions under test are their real binaries, on a Runtime API of our own (`sandbox.rs`), against a mock of AWS
//! over TLS (`services.rs`) whose answers the dev server gave (`lab.rs`).

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock, and its own process's environment")]
#![expect(clippy::indexing_slicing, reason = "an index into JSON finds null, and never panics")]
#![expect(clippy::print_stdout, reason = "its output is what a person asked for")]

mod baseline;
mod calls;
mod client;
mod cold;
mod cost;
mod grow;
mod guard;
mod hash;
mod lab;
mod load;
mod newcomer;
mod peers;
mod profiles;
mod program;
mod results;
mod sandbox;
mod scale;
mod services;
mod size;
mod targets;
mod warm;

use std::{error::Error, path::PathBuf, process::ExitCode};

type Failure = Box<dyn Error + Send + Sync>;

const USAGE: &str = "\
Usage: cargo run -p bench -- COMMAND [--binaries FOLDER] [--every FOLDER] [--renew] [FUNCTION…]

Commands:
  cold     Instructions (callgrind), CPU time, memory and connections, from a start to the first answer
  warm     CPU time of further requests
  baseline `me` and `login` beside functions that only read one item, by our TLS and by the SDK's defaults
  calls    Calls to AWS, consumed capacity and TLS connections of every event in events/
  size     Sizes of binaries and of their zips
  cost     What a million requests and a month cost, by the tables of `calls` and `warm`
  profiles Size, instructions and build time of one build per folder in --binaries (bench/profiles.sh makes them)
  targets  The latest results beside what is aimed at
  scale    How often transactions on a shared counter meet, by simulation
  newcomer Time of `cargo run`, until it answers, and of `cargo test` in a fresh clone of what is committed; `run` or
           `test` behind it measures one of them
  hash     CPU time of a password hash, beside libargon2, libsodium and bcrypt
  load     Requests per second, durations and CPU time of the dev server, with 1, 4 and 16 connections
  grow     The same with 1,000 to 1,000,000 accounts, `admin stats` and the sizes; a number behind it is the most
  peers    Login, me and refresh, beside better-auth and a program like the origin
  all      All of these, but `profiles`, on one machine in one run; half an hour
  guard    Compares with bench/limits.json, and fails if something costs more than it says; --renew writes it anew

Binaries are those of `cargo build --release --bin FUNCTION` (target/release), as `sam build` makes them, unless
--binaries names another folder. `calls` and `guard` take every function's calls from the binaries in target/debug or
--every, because calls depend on no profile. All that run functions need the dev server (`cargo build --workspace`) and
openssl; where instructions are counted, valgrind. `load`, `grow` and `peers` run the dev server and `admin` in
--binaries (`cargo build --release --bin local --bin admin`). `hash install` and `peers install` fetch from PyPI and npm what
they compare with into target/peers; they need Python and npm. FUNCTION is the name of a function, or `all`. Each result is also
written to bench/results/, unless what is there has rows that were not measured.";

/// What a person asked for.
struct Arguments {
    command: String,
    binaries: PathBuf,
    every: PathBuf,
    renews: bool,
    functions: Vec<String>,
}

impl Arguments {
    /// Returns the functions that were named, or the usual ones.
    fn functions(&self, usual: &[&str]) -> Result<Vec<String>, Failure> {
        match self.functions.as_slice() {
            [] => Ok(usual.iter().map(|name| (*name).to_owned()).collect()),
            [all] if all == "all" => lab::Lab::functions(),
            named => Ok(named.to_vec()),
        }
    }
}

fn main() -> ExitCode {
    match arguments().map_or_else(|| Err(USAGE.into()), |arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Option<Arguments> {
    let mut rest = std::env::args().skip(1);
    let command = rest.next()?;
    let target = lab::target();
    let (binaries, every) = (target.join("release"), target.join("debug"));
    let mut arguments = Arguments { command, binaries, every, renews: false, functions: Vec::new() };
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--binaries" => arguments.binaries = PathBuf::from(rest.next()?),
            "--every" => arguments.every = PathBuf::from(rest.next()?),
            "--renew" => arguments.renews = true,
            name => arguments.functions.push(name.to_owned()),
        }
    }
    Some(arguments)
}

/// What `all` runs, in an order in which each finds the results that it reads: commands with their arguments. Not
/// `profiles`, which compares builds, and not `guard`, which writes no result.
const ALL: [(&str, &[&str]); 13] = [
    ("newcomer", &[]),
    ("calls", &[]),
    ("size", &[]),
    ("cold", &["all"]),
    ("warm", &[]),
    ("baseline", &[]),
    ("hash", &[]),
    ("load", &[]),
    ("peers", &[]),
    ("scale", &[]),
    ("cost", &[]),
    ("targets", &[]),
    ("grow", &[]),
];

/// Runs them, one after the other, also after one that fails.
fn all(arguments: &Arguments) -> Result<(), Failure> {
    hash::needs_release("all")?;
    let Arguments { binaries, every, .. } = arguments;
    let mut failed = Vec::new();
    for (command, functions) in ALL {
        let functions = functions.iter().map(|name| (*name).to_owned()).collect();
        let (command, binaries, every) = (command.to_owned(), binaries.clone(), every.clone());
        let one = Arguments { command, binaries, every, renews: false, functions };
        eprintln!("\n{}", one.command);
        if let Err(why) = run(&one) {
            failed.push(format!("{}: {why}", one.command));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.command.as_str() {
        "all" => all(arguments),
        "cold" => cold::run(arguments),
        "baseline" => baseline::run(arguments),
        "warm" => warm::run(arguments),
        "calls" => calls::run(arguments),
        "size" => size::run(arguments),
        "cost" => cost::run(),
        "profiles" => profiles::run(arguments),
        "targets" => targets::run(),
        "scale" => scale::run(),
        "newcomer" => newcomer::run(arguments),
        "hash" => hash::run(arguments),
        "load" => load::run(arguments),
        "grow" => grow::run(arguments),
        "peers" => peers::run(arguments),
        "guard" => guard::run(arguments),
        _ => Err(USAGE.into()),
    }
}
