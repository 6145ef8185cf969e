//! `baseline`: `me` and `login` beside functions that do nothing but read one item (`bench/peers/bare`), and beside the
//! hash, in one run and in turns.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use crate::{
    Arguments, Failure,
    cold::{self, Counting, FIRST, INIT, median},
    hash::{Worker, needs_release},
    lab::{Lab, root},
    peers::{installed, source, succeed},
    results::Table,
    size, warm,
};

/// The functions to compare with: what a function on the SDK costs at least, and what it costs by the SDK's defaults.
const BARE: [&str; 2] = ["bare", "bare-defaults"];

/// How many hashes are measured, after as many to warm up.
const HASHES: usize = 20;

/// Where machines keep the roots that they trust: Debian and its kin, Amazon Linux and its.
const BUNDLES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The columns that `targets` compares.
pub(crate) const START: &str = "start, CPU ms";
/// CPU time of one more request.
pub(crate) const WARM: &str = "warm, CPU ms";
/// What of it a password hash takes in a process that does nothing else.
pub(crate) const OF_IT_HASH: &str = "of it the hash, CPU ms";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    needs_release("baseline")?;
    cold::needs_valgrind()?;
    match arguments.functions.as_slice() {
        [] => {}
        [install] if install == "install" => build()?,
        _ => return Err("`baseline` takes `install` or nothing".into()),
    }
    if BARE.iter().any(|name| !folder().join(name).is_file()) {
        return Err("`baseline install` builds the functions to compare with".into());
    }
    let (mut lab, mut rows) = (Lab::start()?, BTreeMap::new());
    lab.walk(&["me", "login"].map(str::to_owned), |lab, step| {
        let mut subjects = vec![lab.subject(step, &arguments.binaries)?];
        if step.function == "me" {
            for name in BARE {
                let trusted = if name == "bare" { root().join("shared/data/amazon-roots.pem") } else { bundle()? };
                subjects.push(lab.stranger(step, &folder().join(name), &trusted)?);
            }
        }
        let answer = lab.learn(&subjects)?.swap_remove(0);
        let warm = warm::measure(&subjects)?;
        let hash = if step.function == "login" { hash()? } else { 0.0 };
        for ((subject, warm), cold) in subjects.iter().zip(warm).zip(cold::starts(lab, &subjects)?) {
            let count = |column| cold::count(lab, subject, column, Counting::Agreed);
            let (binary, zip) = size::measure(&subject.binary)?;
            let row = vec![
                count(FIRST)?,
                count(INIT)?,
                cold.init_ms + cold.first_ms,
                warm.cpu_ms,
                hash,
                cold.peak,
                binary,
                zip,
            ];
            rows.insert(subject.name.clone(), row);
        }
        Ok(answer)
    })?;
    let columns = vec![FIRST, INIT, START, WARM, OF_IT_HASH, "peak RSS, MiB", "binary, MB", "zip, MB"];
    Table { name: "baseline", title: "Beside functions that only read one item", columns, rows }.publish()
}

/// Returns the CPU time of a hash in a process that does nothing else, in ms.
fn hash() -> Result<f64, Failure> {
    let mut worker = Worker::ours()?;
    let hashes = (0..2 * HASHES).map(|_| worker.hash()).collect::<Result<Vec<_>, _>>()?;
    Ok(median(hashes.into_iter().skip(HASHES).collect()))
}

/// Builds the functions to compare with, by the lock file beside them.
fn build() -> Result<(), Failure> {
    for (name, features) in BARE.into_iter().zip([&[][..], &["--features", "defaults"]]) {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--locked", "--release", "--bin", name]).args(features);
        cargo.arg("--manifest-path").arg(source("bare/Cargo.toml")).arg("--target-dir").arg(installed().join("bare"));
        succeed(&mut cargo)?;
    }
    Ok(())
}

/// Returns the folder of the functions to compare with.
fn folder() -> PathBuf {
    installed().join("bare/release")
}

/// Returns the roots that this machine trusts.
fn bundle() -> Result<PathBuf, Failure> {
    let bundle = BUNDLES.map(PathBuf::from).into_iter().find(|bundle| bundle.is_file());
    bundle.ok_or_else(|| format!("none of {} exists", BUNDLES.join(", ")).into())
}
