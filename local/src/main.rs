//! `cargo run`: runs the whole of Latchkey on this machine.

use std::{
    net::{IpAddr, UdpSocket},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use latchkey::{
    app::Witness,
    base::terminal::{Sentence, say},
    domain::password::Hasher,
    runtime::log_filter,
    store::Store,
};
use local::{
    clock::Clock,
    console::Console,
    data_folder::DataFolder,
    emulator::Emulator,
    gateway::{Gateway, Setup},
    registry, rotation,
    secrets::Secrets,
    server::{self, Server},
    settings::Settings,
    start_page,
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
    /// Folder to keep all data in [default: .latchkey beside template.yaml, or here].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Override an environment variable of the template; repeatable.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = name_and_value)]
    env: Vec<(String, String)>,
    /// File of NAME=VALUE lines that override variables, too. Environment variables and --env win over it.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Show the audit events of each request.
    #[arg(long)]
    audit: bool,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn main() -> ExitCode {
    match serve(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("latchkey: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Logs our own errors to standard error; `RUST_LOG` selects more.
fn start_logging(rust_log: Option<&str>) {
    let filter = log_filter(rust_log, LevelFilter::ERROR);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

fn serve(arguments: Arguments) -> Result<(), Sentence> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<(), Sentence> {
    let template_path = find_template()?;
    let template = match &template_path {
        Some(path) => Template::load(path),
        None => Template::parse(EMBEDDED_TEMPLATE),
    };
    let template = template.map_err(|error| error.to_string())?;
    let settings = Settings::read(&template, arguments.env_file.as_deref(), variable, arguments.env)?;
    start_logging(settings.rust_log.as_deref());

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
        // Commands such as `admin` read in it how to reach the table.
        DataFolder::temporary()
    } else {
        let beside = |template: PathBuf| template.with_file_name(".latchkey");
        DataFolder::open(&arguments.data.or(template_path.map(beside)).unwrap_or_else(|| ".latchkey".into()))
    };
    let folder = folder.map_err(|error| error.to_string())?;
    let emulator = if arguments.memory {
        let secrets = Secrets::in_memory(&template).map_err(|error| error.to_string())?;
        Emulator::in_memory(&template.table, secrets).map_err(|error| error.to_string())?
    } else {
        folder.emulator(&template).map_err(|error| error.to_string())?
    };
    // Deletes the items that expired while no server ran.
    emulator.collect_garbage().map_err(|error| error.to_string())?;

    if let Some(credentials) = &settings.sms_credentials {
        emulator.secrets().lend("SmsCredentials", credentials.clone());
    }

    let (witness, clock) = (Witness::default(), Clock::Wall);
    let setup = Setup {
        template: &template,
        code: registry::code,
        emulator: &emulator,
        overrides: &settings.overrides,
        hasher: Arc::new(Hasher::new().map_err(|error| error.to_string())?),
        witness: witness.clone(),
        clock: clock.clone(),
        domain_name: domain_name.clone(),
    };
    let gateway = Gateway::new(setup).map_err(|error| error.to_string())?;
    gateway.check_sms_credentials(settings.sms_credentials.as_deref())?;
    gateway.check_signing_algorithm()?;
    for warning in gateway.warnings() {
        eprintln!("Warning: {warning}");
    }
    // Creates the first signing key, as CloudFormation does when it creates the stack.
    rotation::rotate_those_due(&gateway, emulator.secrets(), &template.rotations, &clock).await?;

    let access_key = Uuid::new_v4().simple().to_string();
    folder
        .write_function_environment(&template, &settings.overrides, &url, &access_key)
        .map_err(|error| error.to_string())?;
    folder.write_watch_routes(&template).map_err(|error| error.to_string())?;
    let kept = if arguments.memory { "in memory only".to_owned() } else { format!("in {}", folder.path().display()) };
    let data_option = option_for(folder.path())?;
    let example = settings.example_phone(&template);
    say(&banner(
        &url,
        &kept,
        (&example, settings.signs_in_by_code()),
        (!is_loopback).then(|| address_in_the_network(bound.ip(), port)).as_deref(),
    ));
    let server = Server {
        url,
        start_page: start_page::render(&template, &settings, &example, (&kept, &data_option)),
        store: Store::new(emulator.clients_of_operator().dynamodb, template.table.name.clone()),
        console: Console::new(&settings.overrides),
        rotations: template.rotations,
        shows_audit_events: arguments.audit,
        only_for_this_machine: is_loopback,
        gateway,
        emulator,
        access_key,
        witness,
        clock,
    };
    server::serve(server, listener, interrupted()).await.map_err(|error| error.to_string())?;
    say("Stopped.");
    Ok(())
}

/// The repository's own template, for a binary that runs elsewhere.
const EMBEDDED_TEMPLATE: &str = include_str!("../../template.yaml");

/// Finds `template.yaml` in this folder or one above it, as cargo finds its manifest.
fn find_template() -> Result<Option<PathBuf>, Sentence> {
    let here = std::env::current_dir().map_err(|error| error.to_string())?;
    Ok(here.ancestors().map(|folder| folder.join("template.yaml")).find(|path| path.is_file()))
}

/// Returns the option by which operators' commands find this folder, with a space behind it; none if they find it anyway,
/// because it is the default where the server was started.
fn option_for(folder: &Path) -> Result<String, Sentence> {
    let folder = std::path::absolute(folder).map_err(|error| error.to_string())?;
    if std::path::absolute(".latchkey").is_ok_and(|default| default == folder) {
        return Ok(String::new());
    }
    let path = folder.display().to_string();
    let is_plain = path.chars().all(|c| c.is_alphanumeric() || "/._-+,:".contains(c));
    Ok(if is_plain { format!("--data {path} ") } else { format!("--data '{}' ", path.replace('\'', r"'\''")) })
}

/// Returns an environment variable of this process.
fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the dev server's edge: where its configuration is read")]
    std::env::var(name).ok()
}

/// Returns the host by which a browser on this machine reaches the server.
fn reachable(host: &str) -> String {
    match host {
        "0.0.0.0" | "::" | "[::]" => "127.0.0.1".to_owned(),
        host if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
        host => host.to_owned(),
    }
}

/// Returns the URL by which another device reaches a server that listens on this address. For one that listens on every
/// address it asks the system which it would send from; no packet leaves.
fn address_in_the_network(listening: IpAddr, port: u16) -> String {
    let outward = || {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
        // An address of documentation (RFC 5737), which every route outward leads to.
        socket.connect(("192.0.2.1", 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let address = if listening.is_unspecified() { outward().unwrap_or(listening) } else { listening };
    format!("http://{}", std::net::SocketAddr::new(address, port))
}

/// Returns the lines that the server prints when it is ready. `elsewhere` is its URL for other devices, if it listens to
/// any.
fn banner(url: &str, kept: &str, (example, by_code): (&str, bool), elsewhere: Option<&str>) -> String {
    let (path, body) = if by_code {
        ("/auth/code", format!(r#"{{"phone": "{example}"}}"#))
    } else {
        ("/auth/register", format!(r#"{{"phone": "{example}", "password": "mypassword"}}"#))
    };
    let warning = elsewhere.map(|elsewhere| {
        format!(
            "\n  From other devices {elsewhere}  (from Android's emulator: http://10.0.2.2 and the port)\n  Anyone who \
             reaches this port can sign in as anyone: responses and /dev/messages contain every code.\n"
        )
    });
    format!(
        r"Latchkey {version}, data kept {kept}
{warning}
  API documentation  {url}/docs
  Message inbox      {url}/dev/messages
  Settings           {url}/

  curl {url}{path} -H 'Content-Type: application/json' \
       -d '{body}'

Latchkey is ready on {url}",
        version = env!("CARGO_PKG_VERSION"),
        warning = warning.unwrap_or_default(),
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
