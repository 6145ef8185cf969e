//! `cargo run -p import`: moves the users of the origin to Latchkey.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use import::{LeftOut, OnDuplicate, Plan, Preset, Summary, read_users, rehearse, report, write};
use indicatif::{ProgressBar, ProgressStyle};
use latchkey::{
    base::terminal::{Sentence, say, sentence},
    keyring::Keyring,
};
use operator::{Place, now};

/// Move the users of another system, with their passwords, to Latchkey.
///
/// Their table is `users(id, phone, hashed_password)`, or that of a preset, or what a query returns, with bcrypt hashes. A
/// stronger hash replaces each when its user first signs in. Users without a password sign in by a code; they need
/// `SECRET_KEY_ARN`.
///
/// The command reads and checks all users before it writes any. You can stop it and run it again at any time: accounts
/// that exist already stay unchanged.
#[derive(Parser)]
#[command(name = "import", version)]
struct Arguments {
    /// Database to read: the path of a SQLite file, `sqlite:///path/test.db`, `postgresql://user:password@host/name`,
    /// `mysql://user:password@host/name`.
    #[arg(long, value_name = "URL")]
    from: String,
    /// System whose table it is.
    #[arg(long, value_enum, value_name = "SYSTEM", default_value = "users")]
    preset: Preset,
    /// Query to read by, for any other table. Its columns are identifier, phone and bcrypt hash, in this order.
    #[arg(long, value_name = "SQL", conflicts_with = "preset")]
    query: Option<String>,
    /// Which of the users to move whose phones are one number.
    #[arg(long, value_enum, value_name = "WHICH", default_value = "leave-out")]
    on_duplicate: OnDuplicate,
    #[command(flatten)]
    to: Place,
    /// Write nothing; print what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Leave out users that cannot be moved, and move the others.
    #[arg(long)]
    leave_out: bool,
    /// File that lists the users that are left out, with the reason (CSV). It contains phone numbers.
    #[arg(long, value_name = "FILE", default_value = "import-left-out.csv")]
    report: PathBuf,
}

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

async fn run(arguments: Arguments) -> Result<ExitCode, Sentence> {
    let Arguments { from, preset, query, on_duplicate, to, dry_run, leave_out, report } = arguments;
    let connection = to.connect().await.map_err(sentence)?;
    let users = read_users(&from, query.as_deref().unwrap_or_else(|| preset.query())).await.map_err(sentence)?;
    let found = users.len();
    // Only users without a password need it.
    let keyring = Keyring::new(connection.store.clone(), connection.clients.secrets.clone(), &connection.config.keys);
    let secret = keyring.secret(now()).await.ok();
    let key = secret.as_ref().map(|secret| &secret.counting.audit);
    let mut plan = Plan::of(users, &connection.config.phones, key, on_duplicate);
    say(&format!("Users found: {found}. Of these, {} can be moved.", plan.accounts.len()));
    for (reason, count) in plan.reasons() {
        say(&format!("  {count} cannot: {reason}"));
    }
    if !plan.left_out.is_empty() {
        write_report(&report, &plan.left_out)?;
        say(&format!("They are listed in {}.", report.display()));
        if !leave_out && !dry_run {
            say("Nothing was written. Correct them in the database, or run this with --leave-out to move the others.");
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
        let advice = "run the same command again to continue";
        format!("stopped after {written} users ({advice}): {}", sentence(error))
    })?;

    if dry_run && !leave_out && !plan.left_out.is_empty() {
        say("Without --leave-out nothing would be written. With it:");
    }
    let moved = if dry_run { "Would be moved" } else { "Moved" };
    say(&format!("{moved}: {created}, in {:.1} s. Unchanged from before: {already_there}.", took.as_secs_f64()));
    if !left_out.is_empty() {
        say(&format!("  {} cannot: the phone has another account already", left_out.len()));
        plan.left_out.extend(left_out);
        plan.left_out.sort_by(|one, other| one.id.cmp(&other.id));
        write_report(&report, &plan.left_out)?;
        say(&format!("They are listed in {}.", report.display()));
    }
    if let Some(cost) = plan.highest_cost()
        && !connection.is_local
    {
        let until = "until most of them have signed in (docs/OPERATIONS.md)";
        say(&format!("Deploy with LegacyHashes=bcrypt and at least LegacyCost={cost} {until}."));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns a progress bar, which shows on a terminal only.
fn progress_bar(length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len}, {per_sec}, {eta} left");
    ProgressBar::new(length as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn write_report(path: &Path, left_out: &[LeftOut]) -> Result<(), Sentence> {
    report::write(path, left_out).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
