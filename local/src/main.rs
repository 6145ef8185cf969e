//! `cargo run`: runs the whole of Latchkey on this machine.

use std::{collections::HashMap, path::PathBuf, process::ExitCode};

use clap::Parser;
use latchkey::{
    app::Witness,
    base::terminal::{Sentence, say},
    runtime::log_filter,
};
use local::{
    clock::Clock,
    data_folder::DataFolder,
    emulator::Emulator,
    gateway::{Gateway, Setup},
    rotation,
    secrets::Secrets,
    server::{self, Server},
    template::Template,
};
use tokio::net::TcpListener;
use tracing_subscriber::{Layer, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};
use uuid::Uuid;

/// Run Latchkey on this machine: every endpoint, an embedded DynamoDB, a message inbox at /dev/messages, Swagger UI at
/// /docs.
#[derive(Parser)]
#[command(name = "latchkey", version)]
struct Arguments {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, env = "PORT", default_value_t = 8000)]
    port: u16,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Keep all data in memory: accounts, sessions and keys are lost when the server stops.
    #[arg(long, conflicts_with = "data")]
    memory: bool,
    /// Folder to keep all data in [default: .latchkey beside template.yaml].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Override an environment variable of the template; repeatable.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = name_and_value)]
    env: Vec<(String, String)>,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_logging();

    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("latchkey: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Logs our own errors to standard error; `RUST_LOG` selects more.
fn start_logging() {
    #[expect(clippy::disallowed_methods, reason = "the dev server's edge: where its configuration is read")]
    let rust_log = std::env::var("RUST_LOG").ok();
    let filter = log_filter(rust_log.as_deref(), LevelFilter::ERROR);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

fn serve(arguments: Arguments) -> Result<(), Sentence> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<(), Sentence> {
    let template_path = find_template()?;
    let template = Template::load(&template_path).map_err(|error| error.to_string())?;

    let address = (arguments.host.trim_matches(['[', ']']), arguments.port);
    let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("port {} is in use; stop what uses it, or choose another with --port", arguments.port)
        }
        _ => format!("cannot listen on {} port {}: {error}", arguments.host, arguments.port),
    })?;
    let bound = listener.local_addr().map_err(|error| error.to_string())?;
    let (port, is_loopback) = (bound.port(), bound.ip().is_loopback());
    let domain_name = format!("{}:{port}", reachable(&arguments.host));
    let url = format!("http://{domain_name}");
    let template = template.with_api_url(&url);

    let folder = if arguments.memory {
        None
    } else {
        let path = arguments.data.unwrap_or_else(|| template_path.with_file_name(".latchkey"));
        Some((DataFolder::open(&path).map_err(|error| error.to_string())?, path))
    };
    let emulator = match &folder {
        None => {
            let secrets = Secrets::in_memory(&template).map_err(|error| error.to_string())?;
            Emulator::in_memory(&template.table, secrets).map_err(|error| error.to_string())?
        }
        Some((folder, _)) => folder.emulator(&template).map_err(|error| error.to_string())?,
    };
    // Deletes the items that expired while no server ran.
    emulator.collect_garbage().map_err(|error| error.to_string())?;

    let mut overrides = from_process(&template);
    overrides.extend(arguments.env);
    overrides.entry("ALLOWED_ORIGINS".to_owned()).or_insert_with(|| OWN_PAGES.to_owned());
    match overrides.get("SMS_PROVIDER").map(String::as_str) {
        // No message is sent, so that responses may contain the codes.
        None | Some("log") => {
            overrides.entry("OTP_EXPOSE".to_owned()).or_insert_with(|| "true".to_owned());
        }
        Some("sns") => {
            return Err(
                "SMS_PROVIDER=sns sends through AWS, which `cargo run` does not use; set log, http, twilio or \
                        vonage"
                    .to_owned(),
            );
        }
        Some(_) => {}
    }
    if let Some(credentials) = sms_credentials() {
        emulator.secrets().lend("SmsCredentials", credentials);
    }

    let (witness, clock) = (Witness::default(), Clock::Wall);
    let outbox = witness.outbox.clone();
    let setup = Setup {
        template: &template,
        emulator: &emulator,
        overrides: &overrides,
        witness,
        clock: clock.clone(),
        domain_name: domain_name.clone(),
    };
    let gateway = Gateway::new(setup).map_err(|error| error.to_string())?;
    for warning in gateway.warnings() {
        eprintln!("Warning: {warning}");
    }
    // Creates the first signing key, as CloudFormation does when it creates the stack.
    rotation::rotate_those_due(&gateway, emulator.secrets(), &template.rotations, &clock).await?;

    let access_key = Uuid::new_v4().simple().to_string();
    let kept = match &folder {
        None => "in memory only".to_owned(),
        Some((folder, path)) => {
            folder
                .write_function_environment(&template, &overrides, &url, &access_key)
                .map_err(|error| error.to_string())?;
            folder.write_watch_routes(&template).map_err(|error| error.to_string())?;
            format!("in {}", path.display())
        }
    };
    say(&banner(&url, &kept, is_loopback));
    let rotations = template.rotations;
    let server = Server { gateway, emulator, access_key, rotations, outbox, clock, only_for_this_machine: is_loopback };
    server::serve(server, listener, interrupted()).await.map_err(|error| error.to_string())?;
    say("Stopped.");
    Ok(())
}

/// Finds `template.yaml` in this folder or one above it, as cargo finds its manifest.
fn find_template() -> Result<PathBuf, Sentence> {
    let here = std::env::current_dir().map_err(|error| error.to_string())?;
    let found = here.ancestors().map(|folder| folder.join("template.yaml")).find(|path| path.is_file());
    found.ok_or_else(|| {
        format!("there is no template.yaml in {} or above it; run this in the repository", here.display())
    })
}

/// Returns the template's variables that this process's environment sets. Leaves `RUST_LOG` out, and the table's name
/// and the addresses of AWS's services, because the table is embedded.
fn from_process(template: &Template) -> HashMap<String, String> {
    let names = template.functions.iter().flat_map(|function| function.environment.keys());
    let names = names.filter(|name| !matches!(name.as_str(), "TABLE_NAME" | "RUST_LOG") && !name.starts_with("AWS_"));
    #[expect(clippy::disallowed_methods, reason = "the dev server's edge: where its configuration is read")]
    names.filter_map(|name| Some((name.clone(), std::env::var(name).ok()?))).collect()
}

/// Returns the credentials for the provider of text messages, which are in Secrets Manager on AWS.
fn sms_credentials() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the dev server's edge: where its configuration is read")]
    std::env::var("SMS_CREDENTIALS").ok()
}

/// Returns the host by which a browser on this machine reaches the server.
fn reachable(host: &str) -> String {
    match host {
        "0.0.0.0" | "::" | "[::]" => "127.0.0.1".to_owned(),
        host if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
        host => host.to_owned(),
    }
}

/// The pages that may call the API unless something else is set: those that are served on this machine.
const OWN_PAGES: &str = "http://localhost:*,http://127.0.0.1:*";

/// A warning for servers that listen on more than this machine.
const OPEN_TO_THE_NETWORK: &str =
    "\n  Anyone who reaches this port can sign in as anyone: responses and /dev/messages contain every code.\n";

fn banner(url: &str, kept: &str, is_loopback: bool) -> String {
    let warning = if is_loopback { "" } else { OPEN_TO_THE_NETWORK };
    format!(
        r#"Latchkey {version}, data kept {kept}
{warning}
  API documentation  {url}/docs
  Message inbox      {url}/dev/messages

  curl {url}/auth/register -H 'Content-Type: application/json' \
       -d '{{"phone": "01012345678", "password": "mypassword"}}'

Latchkey is ready on {url}"#,
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// Resolves on Ctrl-C or SIGTERM. A second Ctrl-C ends the process at once.
async fn interrupted() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
        }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}
