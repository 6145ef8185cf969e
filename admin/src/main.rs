//! `cargo run -p admin`: runs operators' commands.

use std::{
    io::{self, BufRead, IsTerminal},
    process::ExitCode,
};

use admin::{
    doctor::{self, Finding},
    messages, secret,
    users::{self, Action, Desk},
};
use clap::{Parser, Subcommand, ValueEnum, builder::PossibleValue};
use latchkey::{
    base::{
        fault,
        kid::Kid,
        terminal::{Sentence, say, sentence},
    },
    domain::phone::Phone,
    keyring::Keyring,
};
use operator::{Connection, Place, now};

/// Manage accounts and check the deployment: of the dev server that runs here, or on AWS with --table.
#[derive(Parser)]
#[command(name = "admin", version)]
struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show or change an account, by its phone or its id.
    User {
        /// What to do.
        action: UserAction,
        /// Phone of the account, in any spelling, or its id, which is all that a parked account has. `parked` takes none.
        #[arg(value_name = "PHONE|ID")]
        account: Option<String>,
        /// Phone that `unpark` gives to the account, instead of the one that it had.
        #[arg(long)]
        phone: Option<String>,
        /// Greatest number of accounts that `parked` lists.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
    /// List accounts, by reading the table until there are enough.
    List {
        /// Greatest number of accounts to list.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Check that messages arrive.
    #[command(subcommand)]
    Messages(Messages),
    /// Count accounts, sessions and more, by reading the whole table.
    Stats,
    /// Show or change the versions of the master secret.
    Secret {
        /// What to do with the secret.
        #[command(subcommand)]
        action: SecretAction,
    },
    /// Check table, keys, secrets, text messages and clock.
    Doctor,
}

/// What an operator does with accounts: one action on one account, or a list.
#[derive(Clone, Copy)]
enum UserAction {
    On(Action),
    Parked,
}

impl ValueEnum for UserAction {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: &[UserAction] = &[
            UserAction::On(Action::Show),
            UserAction::On(Action::Disable),
            UserAction::On(Action::Enable),
            UserAction::On(Action::EndSessions),
            UserAction::On(Action::ResetMfa),
            UserAction::On(Action::Unlock),
            UserAction::On(Action::ConfirmOwner),
            UserAction::Parked,
            UserAction::On(Action::Unpark),
            UserAction::On(Action::Delete),
        ];
        ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::On(action) => action.to_possible_value(),
            Self::Parked => Some(PossibleValue::new("parked").help("List the accounts that are parked")),
        }
    }
}

#[derive(Subcommand)]
enum Messages {
    /// Send a test message, as the functions send theirs.
    Test {
        /// Phone that receives it, in any spelling.
        phone: String,
    },
}

#[derive(Subcommand)]
enum SecretAction {
    /// Count what depends on each key, by reading the whole table.
    Status,
    /// Remove a key that nothing depends on.
    Retire {
        /// Number of the key, as `status` shows it.
        key: Kid,
        /// Go on although this many second factors are lost.
        #[arg(long, value_name = "N")]
        lose: Option<usize>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { place, command } = Arguments::parse();
    let done = match place.connect().await.map_err(sentence) {
        Err(sentence) => Err(sentence),
        Ok(connection) => match command {
            Command::User { action: UserAction::Parked, account: None, limit, .. } => {
                users::list_parked(&connection.store, limit, now()).await.map_err(sentence).map(|text| {
                    say(&text);
                    ExitCode::SUCCESS
                })
            }
            Command::User { action: UserAction::Parked, .. } => Err("`user parked` takes no account".to_owned()),
            Command::User { account: None, .. } => Err("name the account, by its phone or its id".to_owned()),
            Command::User { action: UserAction::On(action), account: Some(account), phone, yes, .. } => {
                user(&connection, action, (&account, phone.as_deref()), yes).await
            }
            Command::List { limit } => users::list(&connection.store, limit).await.map_err(sentence).map(|text| {
                say(&text);
                ExitCode::SUCCESS
            }),
            Command::Messages(Messages::Test { phone }) => test_message(&connection, &phone).await,
            Command::Stats => stats(&connection).await,
            Command::Secret { action } => secret(&connection, action).await,
            Command::Doctor => Ok(doctor(&connection).await),
        },
    };
    done.unwrap_or_else(|sentence| {
        eprintln!("admin: {sentence}");
        ExitCode::FAILURE
    })
}

async fn user(
    connection: &Connection,
    action: Action,
    (typed, new_phone): (&str, Option<&str>),
    yes: bool,
) -> Result<ExitCode, Sentence> {
    let home = users::find(&connection.store, &connection.config, typed).await.map_err(sentence)?;
    let new_phone = new_phone.map(|typed| users::parse(&connection.config, typed)).transpose();
    let new_phone = new_phone.map_err(|why| format!("the phone {why}"))?;
    if let Some(warning) = action.warning()
        && !yes
        && !confirmed(home.number(), warning)?
    {
        say("Nothing was done.");
        return Ok(ExitCode::FAILURE);
    }
    let keyring = Keyring::new(connection.store.clone(), connection.clients.secrets.clone(), &connection.config.keys);
    let secret = match keyring.secret(now()).await {
        Ok(secret) => Some(secret),
        Err(error) => {
            eprintln!("admin: the audit event will not contain the phone's hash: {}", fault::chain(&error));
            None
        }
    };
    let desk = Desk {
        store: &connection.store,
        config: &connection.config,
        secret: secret.as_ref(),
        new_phone: new_phone.as_ref(),
        operator: &connection.operator,
        now: now(),
    };
    let done = users::act(desk, action, &home, |event| eprintln!("{event}")).await;
    say(&done.map_err(sentence)?);
    Ok(ExitCode::SUCCESS)
}

async fn test_message(connection: &Connection, typed: &str) -> Result<ExitCode, Sentence> {
    let phone = connection.config.phones.parse(typed).map_err(|why| format!("the phone {why}"))?;
    connection.config.phones.check_recipient(&phone).map_err(|why| format!("the phone {why}"))?;
    let (was_sent, said) = messages::test(connection, phone, now()).await.map_err(|error| error.to_string())?;
    say(&said);
    Ok(if was_sent { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks the operator at the terminal for confirmation.
fn confirmed(phone: &Phone, warning: &str) -> Result<bool, Sentence> {
    if !io::stdin().is_terminal() {
        return Err("this needs confirmation, but there is no terminal; say --yes to go on without it".to_owned());
    }
    eprint!("Account of {}: {warning} Continue? [y/N] ", phone.as_e164());
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(sentence)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn secret(connection: &Connection, action: SecretAction) -> Result<ExitCode, Sentence> {
    let desk = secret::Desk {
        store: &connection.store,
        secrets: &connection.clients.secrets,
        config: &connection.config,
        operator: &connection.operator,
        now: now(),
    };
    let done = match action {
        SecretAction::Status => secret::status(desk).await,
        SecretAction::Retire { key, lose } => secret::retire(desk, key, lose, |event| eprintln!("{event}")).await,
    };
    say(&done.map_err(sentence)?);
    Ok(ExitCode::SUCCESS)
}

async fn stats(connection: &Connection) -> Result<ExitCode, Sentence> {
    let progress = |items| {
        // Where nobody watches, such as in a script's log, the lines would only be in the way.
        if io::stderr().is_terminal() {
            eprint!("\r{items} items read");
        }
    };
    let stats = connection.store.stats(now(), progress).await;
    if io::stderr().is_terminal() {
        eprintln!();
    }
    let stats = stats.map_err(sentence)?;
    for (name, count) in [
        ("accounts", stats.accounts),
        ("  verified", stats.verified),
        ("  with a second factor", stats.with_second_factor),
        ("  without a password", stats.without_password),
        ("  disabled", stats.disabled),
        ("  imported", stats.imported),
        ("  with a legacy hash", stats.with_legacy_hash),
        ("    of a cost up to", usize::try_from(stats.highest_legacy_cost).unwrap_or(usize::MAX)),
        ("sessions", stats.sessions),
        ("parked accounts", stats.parked),
        ("tombstones", stats.tombstones),
        ("notices owed", stats.owed_notices),
        ("items", stats.items),
    ] {
        say(&format!("{name:24}{count:>10}"));
    }
    say(&format!("{:24}{:>10}", "messages today", stats.messages));
    for (country, count) in stats.messages_to_new_phones {
        say(&format!("  to new phones {country:10}{count:>10}"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn doctor(connection: &Connection) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (what, finding) in doctor::examine(connection, now()).await {
        let (mark, why) = match finding {
            Finding::Fine(why) => ("ok", why),
            Finding::Doubtful(why) => ("check", why),
            Finding::Skipped(why) => ("-", why),
            Finding::Wrong(why) => {
                code = ExitCode::FAILURE;
                ("WRONG", why)
            }
        };
        say(&format!("{mark:7}{what:17}{why}"));
    }
    code
}
