//! `cargo run -p import`: moves the users of the origin to Latchkey.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use import::{LeftOut, Plan, Summary, read_users, rehearse, write};
use indicatif::{ProgressBar, ProgressStyle};
use operator::{Place, in_one_line, now};

/// Moves the users of another system, and their passwords, to Latchkey: `users(id, phone, hashed_password)` with bcrypt
/// hashes, each of which is replaced by a stronger one when its user first signs in.
///
/// Everything is looked at before anything is written. It can be stopped and started again, and started again when it is
/// done: who is there stays as they are.
#[derive(Parser)]
#[command(name = "import", version)]
struct Arguments {
    /// The database: `sqlite:///path/test.db`, `postgresql://user:password@host/name`, `mysql://user:password@host/name`.
    #[arg(long, value_name = "URL")]
    from: String,
    #[command(flatten)]
    to: Place,
    /// Write nothing; say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Leave out users that cannot be moved, and move the others.
    #[arg(long)]
    leave_out: bool,
    /// Where those that are left out are listed, with the reason (CSV). It has phone numbers in it.
    #[arg(long, value_name = "FILE", default_value = "import-left-out.csv")]
    report: PathBuf,
}

/// One sentence for whoever started it.
type Sentence = String;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(sentence) => {
            eprintln!("import: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn sentence(error: impl std::error::Error) -> Sentence {
    in_one_line(&error)
}

async fn run(arguments: Arguments) -> Result<ExitCode, Sentence> {
    let Arguments { from, to, dry_run, leave_out, report } = arguments;
    let connection = to.connect().await.map_err(sentence)?;
    let users = read_users(&from).await.map_err(sentence)?;
    let found = users.len();
    let mut plan = Plan::of(users, &connection.config.phones);
    say(&format!("Users found: {found}, of which {} can be moved.", plan.accounts.len()));
    for (reason, count) in plan.reasons() {
        say(&format!("  {count} cannot: {reason}"));
    }
    if !plan.left_out.is_empty() {
        write_report(&report, &plan.left_out)?;
        say(&format!("They are listed in {}.", report.display()));
        if !leave_out && !dry_run {
            say("Nothing was written. Mend them there, or start again with --leave-out to move the others.");
            return Ok(ExitCode::FAILURE);
        }
    }

    let bar = progress_bar(plan.accounts.len());
    let (accounts, store) = (&plan.accounts, &connection.store);
    let done = if dry_run {
        rehearse(accounts, store, || bar.inc(1)).await
    } else {
        write(accounts, store, now(), || bar.inc(1)).await
    };
    let written = bar.position();
    let took = bar.elapsed();
    bar.finish_and_clear();
    let Summary { created, already_there, left_out } = done.map_err(|error| {
        let advice = "start the same command again, and it goes on";
        format!("stopped after {written} users ({advice}): {}", sentence(error))
    })?;

    if dry_run && !leave_out && !plan.left_out.is_empty() {
        say("Without --leave-out nothing would be written. With it:");
    }
    let moved = if dry_run { "Would be moved" } else { "Moved" };
    say(&format!("{moved}: {created}, in {:.1} s. There from before: {already_there}.", took.as_secs_f64()));
    if !left_out.is_empty() {
        say(&format!("  {} cannot: the phone has another account already", left_out.len()));
        plan.left_out.extend(left_out);
        plan.left_out.sort_by_key(|user| user.id);
        write_report(&report, &plan.left_out)?;
        say(&format!("They are listed in {}.", report.display()));
    }
    if created > 0 && !dry_run && !connection.is_local {
        say("Deploy with LegacyHashes=bcrypt until most of them have signed in (docs/OPERATIONS.md).");
    }
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) {
    // Whoever closed the pipe does not want to know.
    let _ = writeln!(io::stdout(), "{line}");
}

/// On a terminal alone.
fn progress_bar(length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len}, {per_sec}, {eta} left");
    ProgressBar::new(length as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// For its owner alone.
fn write_report(path: &Path, left_out: &[LeftOut]) -> Result<(), Sentence> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || -> io::Result<()> {
        let mut report = csv::Writer::from_writer(options.open(path)?);
        report.write_record(["id", "phone", "reason"])?;
        for user in left_out {
            report.write_record([&user.id.to_string(), &user.phone, &user.reason])?;
        }
        report.flush()
    };
    write().map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
