//! `load`: what the release dev server does for several connections at once. It serves everything in one process, with
//! the table: on Lambda each request has a process of its own.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::json;

use crate::{
    Arguments, Failure,
    client::{Bounds, Connection, Round, load},
    program::Program,
    results::Table,
    services::scratch,
};

/// The connections at once.
const CONNECTIONS: [usize; 3] = [1, 4, 16];

/// The bounds of each load.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(4), rounds: 8_000 };

/// The accounts that sign in by code. Each gets a code at most once in a second and 20 times a day.
const BY_CODE: usize = 600;

/// The accounts with a password. Each has at most 20 sessions: a login more ends the oldest.
pub(crate) const BY_PASSWORD: usize = 32;

/// The password of every account.
pub(crate) const PASSWORD: &str = "mypassword";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = scratch();
    fs::create_dir_all(&folder)?;
    let measured = measure(arguments, &folder);
    let _ = fs::remove_dir_all(&folder);
    let columns = vec!["per second", "p50, ms", "p95, ms", "p99, ms", "CPU ms"];
    Table { name: "load", title: "The dev server under load", columns, rows: measured? }.publish()
}

fn measure(arguments: &Arguments, folder: &std::path::Path) -> Result<BTreeMap<String, Vec<f64>>, Failure> {
    let program = Program::dev_server(&arguments.binaries.join("local"), &folder.join("data"), &[])?;
    let flows = Flows::prepare(&program.host)?;
    let mut rows = BTreeMap::new();
    for name in Flows::NAMES {
        for connections in CONNECTIONS {
            let clients = (0..connections).map(|client| flows.client(name, client)).collect::<Result<_, _>>()?;
            let load = load(&program, clients, BOUNDS)?;
            let [p50, p95, p99] = [50, 95, 99].map(|percent| load.percentile(percent));
            eprintln!("{name}, {connections} at once: {:.0} per second", load.per_second);
            rows.insert(format!("{name}, {connections:>2} at once"), vec![load.per_second, p50, p95, p99, load.cpu_ms]);
        }
    }
    Ok(rows)
}

/// Returns a mobile number of Egypt, as people type it: a different one for each number below ten million.
pub(crate) fn phone(number: usize) -> String {
    format!("010{:08}", 20_000_000 + number * 7)
}

/// The main flows, and the accounts that they need.
pub(crate) struct Flows {
    host: String,
    /// The next new phone.
    next_new: Arc<AtomicUsize>,
    /// The next phone that gets a code.
    next_code: Arc<AtomicUsize>,
}

impl Flows {
    /// The names of the flows. A round of `code + verify` is two requests, and one of each other flow is one.
    pub(crate) const NAMES: [&str; 5] = ["me", "refresh", "login", "code + verify", "register"];

    /// Makes the accounts: those with a password first.
    fn prepare(host: &str) -> Result<Self, Failure> {
        let mut connection = Connection::open(host)?;
        for number in 0..BY_PASSWORD {
            register(&mut connection, &phone(number))?;
        }
        for number in BY_PASSWORD..BY_PASSWORD + BY_CODE {
            sign_in_by_code(&mut connection, &phone(number))?;
        }
        let next_new = Arc::new(AtomicUsize::new(BY_PASSWORD + BY_CODE));
        Ok(Self { host: host.to_owned(), next_new, next_code: Arc::default() })
    }

    /// Returns the rounds of a client.
    fn client(&self, name: &str, client: usize) -> Result<Round<'static>, Failure> {
        let own = phone(client % BY_PASSWORD);
        Ok(match name {
            "me" => me(&self.host, &own)?,
            "refresh" => refresh(&self.host, &own)?,
            "login" => Box::new(move |connection| login(connection, &own).map(|_| true)),
            "register" => {
                let next = self.next_new.clone();
                Box::new(move |connection| register(connection, &phone(next.fetch_add(1, Relaxed))).map(|()| true))
            }
            _ => {
                let next = self.next_code.clone();
                Box::new(move |connection| {
                    let number = BY_PASSWORD + next.fetch_add(1, Relaxed) % BY_CODE;
                    sign_in_by_code(connection, &phone(number)).map(|()| true)
                })
            }
        })
    }
}

/// Returns rounds of a client that asks who it is.
pub(crate) fn me(host: &str, phone: &str) -> Result<Round<'static>, Failure> {
    let (token, _) = login(&mut Connection::open(host)?, phone)?;
    Ok(Box::new(move |connection| connection.get_as("/auth/me", &token).map(|_| true)))
}

/// Returns rounds of a client that refreshes its session, each with the token of the one before.
pub(crate) fn refresh(host: &str, phone: &str) -> Result<Round<'static>, Failure> {
    let (_, mut token) = login(&mut Connection::open(host)?, phone)?;
    Ok(Box::new(move |connection| {
        token = connection.post("/auth/refresh", &json!({ "refresh_token": token }))?.text_at("/refresh_token")?;
        Ok(true)
    }))
}

/// Registers a phone with the password.
pub(crate) fn register(connection: &mut Connection, phone: &str) -> Result<(), Failure> {
    connection.post("/auth/register", &json!({ "phone": phone, "password": PASSWORD })).map(drop)
}

/// Signs in by the password. Returns the access token and the refresh token.
pub(crate) fn login(connection: &mut Connection, phone: &str) -> Result<(String, String), Failure> {
    let answer = connection.post("/auth/login", &json!({ "phone": phone, "password": PASSWORD }))?;
    Ok((answer.text_at("/access_token")?, answer.text_at("/refresh_token")?))
}

/// Asks for a code, which the dev server's answer contains, and signs in by it.
fn sign_in_by_code(connection: &mut Connection, phone: &str) -> Result<(), Failure> {
    let answer = connection.post("/auth/code", &json!({ "phone": phone }))?;
    let proof = json!({ "challenge": answer.text_at("/challenge")?, "otp": answer.text_at("/otp")? });
    connection.post("/auth/code/verify", &proof).map(drop)
}
