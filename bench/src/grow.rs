//! `grow`: the dev server with more and more accounts. All but one are copies of what a registration, a login and a
//! verification wrote, under keys of their own, loaded without the API.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Arguments, Failure,
    client::{Bounds, Connection, Load, Round, load},
    cold::as_number,
    load::{self, phone},
    program::Program,
    results::{Table, draw_lines},
    scale::Random,
    services::{Request, scratch},
};

/// The numbers of accounts, each with its column.
const SIZES: [(usize, &str); 4] =
    [(1_000, "1,000"), (10_000, "10,000"), (100_000, "100,000"), (1_000_000, "1,000,000")];

/// The bounds of each load, by one connection.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(4), rounds: 4_000 };

/// How many accounts, spread over the table, take turns in a load.
const SAMPLE: usize = 64;

/// The most items of one transaction.
const TRANSACTION: usize = 100;

/// The connections that load.
const LOADERS: usize = 2;

/// The longest time that `admin stats` gets.
const PATIENCE: Duration = Duration::from_mins(10);

/// The rows, in the order of the measures.
const MEASURES: [&str; 13] = [
    "login: p50, ms",
    "login: CPU, ms",
    "me: p50, ms",
    "me: CPU, ms",
    "refresh: p50, ms",
    "refresh: CPU, ms",
    "admin stats, s",
    "admin stats, CPU s",
    "file, MB",
    "memory, MiB",
    "items per account",
    "to load it, s",
    "to load it, CPU s",
];

/// The rows that the plot shows.
const PLOTTED: [&str; 6] =
    ["login: CPU, ms", "me: CPU, ms", "refresh: CPU, ms", "admin stats, s", "file, MB", "memory, MiB"];

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let most = match arguments.functions.as_slice() {
        [] => usize::MAX,
        [most] => most.parse().map_err(|_| "`grow` takes the greatest number of accounts")?,
        _ => return Err("`grow` takes one number".into()),
    };
    let folder = scratch();
    fs::create_dir_all(&folder)?;
    let measured = measure(arguments, &folder, most);
    let _ = fs::remove_dir_all(&folder);
    let measured = measured?;
    let of = |row: usize| measured.iter().map(|values| values.get(row).copied().unwrap_or(f64::NAN)).collect();
    let rows: BTreeMap<_, _> = MEASURES.iter().enumerate().map(|(row, name)| ((*name).to_owned(), of(row))).collect();
    let columns = SIZES.iter().take(measured.len()).map(|(_, name)| *name).collect();
    let table = Table { name: "grow", title: "The dev server by its number of accounts", columns, rows };
    if measured.len() < SIZES.len() {
        // A part of it must not take the place of the whole.
        table.print();
        return Ok(());
    }
    table.publish()?;
    let line = |name: &'static str| {
        let values = table.rows.get(name).into_iter().flatten();
        (name, SIZES.iter().map(|(size, _)| as_number(*size)).zip(values.copied()).collect())
    };
    draw_lines("grow", table.title, &PLOTTED.map(line))
}

/// Returns the measures of each size up to the greatest.
fn measure(arguments: &Arguments, folder: &Path, most: usize) -> Result<Vec<Vec<f64>>, Failure> {
    let data = folder.join("data");
    let program = Program::dev_server(&arguments.binaries.join("local"), &data, &[])?;
    let table = DynamoDb::of(&program.host, &data)?;
    let pattern = Pattern::register(&program.host, &table)?;
    let (mut measured, mut there) = (Vec::new(), 1);
    for (size, _) in SIZES.iter().filter(|(size, _)| *size <= most) {
        let (started, before) = (Instant::now(), program.cpu_ms()?);
        table.fill(&pattern, there..*size)?;
        let (seconds, cpu) = (started.elapsed().as_secs_f64(), (program.cpu_ms()? - before) / 1e3);
        eprintln!("{size} accounts after {seconds:.0} s");
        there = *size;
        let sample: Vec<_> = (0..SAMPLE).map(|place| phone(place * size / SAMPLE)).collect();
        let [login, me, refresh] = flows(&program, &sample)?;
        let (stats, stats_cpu) = stats(&program, &arguments.binaries.join("admin"), &data, *size)?;
        let mut row: Vec<_> =
            [&login, &me, &refresh].iter().flat_map(|load| [load.percentile(50), load.cpu_ms]).collect();
        row.extend([stats, stats_cpu, size_mb(&data)?, program.memory_mib()?]);
        row.extend([as_number(pattern.items.len()), seconds, cpu]);
        measured.push(row);
    }
    Ok(measured)
}

/// Measures login, me and refresh of these phones in turns, by one connection.
fn flows(program: &Program, sample: &[String]) -> Result<[Load; 3], Failure> {
    let by_one = |round: Round<'_>| load(program, vec![round], BOUNDS);
    let mut turn = 0;
    let login = by_one(Box::new(|connection| {
        turn += 1;
        load::login(connection, sample.get(turn % SAMPLE).ok_or("there is no sample")?).map(|_| true)
    }))?;
    let in_turns = |of: fn(&str, &str) -> Result<Round<'static>, Failure>| {
        let mut clients = sample.iter().map(|phone| of(&program.host, phone)).collect::<Result<Vec<_>, _>>()?;
        let mut turn = 0;
        by_one(Box::new(move |connection| {
            turn += 1;
            clients.get_mut(turn % SAMPLE).ok_or("there is no sample")?(connection)
        }))
    };
    Ok([login, in_turns(load::me)?, in_turns(load::refresh)?])
}

/// Runs `admin stats`, which must count all accounts. Returns its seconds and the server's CPU seconds; no number if it
/// fails, of which it says the reason itself, or takes longer than [`PATIENCE`].
fn stats(program: &Program, admin: &Path, data: &Path, accounts: usize) -> Result<(f64, f64), Failure> {
    let (started, before) = (Instant::now(), program.cpu_ms()?);
    let child = Command::new(admin).arg("--data").arg(data).arg("stats").stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("{}: {error}; cargo build -p admin builds it", admin.display()))?;
    while child.try_wait()?.is_none() {
        if started.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok((f64::NAN, f64::NAN));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), (program.cpu_ms()? - before) / 1e3);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Ok((f64::NAN, f64::NAN));
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let counted = said.lines().find_map(|line| line.strip_prefix("accounts")).map(str::trim);
    if counted == Some(accounts.to_string().as_str()) {
        return Ok((seconds, cpu));
    }
    Err(format!("`admin stats` counts {} of {accounts} accounts", counted.unwrap_or("none")).into())
}

/// Returns the size of the table's files, in MB.
fn size_mb(data: &Path) -> Result<f64, Failure> {
    let mut sum = 0;
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("dynamodb.sqlite") {
            sum += entry.metadata()?.len();
        }
    }
    Ok(f64::from(u32::try_from(sum / 1000)?) / 1e3)
}

/// The dev server's table, in DynamoDB's own protocol.
struct DynamoDb {
    host: String,
    table: String,
    authorization: String,
}

impl DynamoDb {
    /// Reads the name of the table and the access key from the dev server's folder.
    fn of(host: &str, data: &Path) -> Result<Self, Failure> {
        let path: PathBuf = data.join("lambda.env");
        let variables = fs::read_to_string(path)?;
        let variable = |name: &str| {
            let values = variables.lines().filter_map(|line| line.split_once('='));
            let value = values.into_iter().find_map(|(known, value)| (known == name).then_some(value));
            value.map(|value| value.trim_matches('"').to_owned()).ok_or_else(|| format!("lambda.env has no {name}"))
        };
        let authorization = format!("Credential={}/", variable("AWS_ACCESS_KEY_ID")?);
        Ok(Self { host: host.to_owned(), table: variable("TABLE_NAME")?, authorization })
    }

    fn call(&self, connection: &mut Connection, operation: &str, body: &str) -> Result<Value, Failure> {
        let target = format!("DynamoDB_20120810.{operation}");
        let headers = [("x-amz-target", target.as_str()), ("authorization", &self.authorization)];
        Ok(connection.send(&Request { method: "POST", path: "/dev/dynamodb", headers: &headers, body })?.body)
    }

    /// Writes the accounts with these numbers, as many in one transaction as there may be: the emulator has no
    /// `BatchWriteItem`.
    fn fill(&self, pattern: &Pattern, numbers: std::ops::Range<usize>) -> Result<(), Failure> {
        let at_once = (TRANSACTION / pattern.items.len().max(1)).max(1);
        let next = AtomicUsize::new(numbers.start);
        std::thread::scope(|scope| {
            let loaders: Vec<_> = (0..LOADERS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut connection = Connection::open(&self.host)?;
                        loop {
                            let first = next.fetch_add(at_once, Relaxed);
                            if first >= numbers.end {
                                return Ok::<_, Failure>(());
                            }
                            let numbers = first..numbers.end.min(first + at_once);
                            let puts: Vec<_> = numbers.flat_map(|number| pattern.copy(number, &self.table)).collect();
                            let body = format!("{{\"TransactItems\":[{}]}}", puts.join(","));
                            self.call(&mut connection, "TransactWriteItems", &body)?;
                        }
                    })
                })
                .collect();
            loaders.into_iter().try_for_each(|loader| loader.join().map_err(|_| "a loader panicked")?)
        })
    }
}

/// The items of one account, as JSON, and what differs in those of another.
struct Pattern {
    items: Vec<String>,
    phone: String,
    /// The identifiers of the user and of its sessions.
    ids: Vec<String>,
}

impl Pattern {
    /// Registers the first phone, signs in, verifies the phone, and reads what the table has of it then. Codes, which end
    /// after minutes, are left out.
    fn register(host: &str, table: &DynamoDb) -> Result<Self, Failure> {
        let mut connection = Connection::open(host)?;
        load::register(&mut connection, &phone(0))?;
        let (token, _) = load::login(&mut connection, &phone(0))?;
        let authorization = format!("Bearer {token}");
        let mut post = |path: &str, body: &str| {
            let headers = [("authorization", authorization.as_str())];
            connection.send(&Request { method: "POST", path, headers: &headers, body })
        };
        let code = post("/auth/verify-phone", "")?.text_at("/otp")?;
        post("/auth/verify-phone/confirm", &json!({ "otp": code }).to_string())?;

        let all = table.call(&mut connection, "Scan", &json!({ "TableName": table.table }).to_string())?;
        let all = all["Items"].as_array().ok_or("the table has no items")?;
        let phone = format!("+2{}", phone(0));
        let key = |item: &Value, name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
        let of_phone = |item: &&Value| key(item, "pk") == format!("PHONE#{phone}");
        let user = all.iter().filter(of_phone).find_map(|item| item["user_id"]["S"].as_str());
        let user = user.ok_or("the registration wrote no user")?.to_owned();
        let items: Vec<_> = all
            .iter()
            .filter(|item| of_phone(item) || key(item, "pk") == format!("USER#{user}"))
            .filter(|item| !key(item, "sk").starts_with("OTP#"))
            .collect();
        let mut ids = vec![user];
        for item in &items {
            let sort = key(item, "sk");
            ids.extend(["SESSION#", "DEVICE#"].iter().filter_map(|prefix| Some(sort.strip_prefix(prefix)?.to_owned())));
        }
        ids.sort();
        ids.dedup();
        eprintln!("an account has {} items", items.len());
        Ok(Self { items: items.iter().map(ToString::to_string).collect(), phone, ids })
    }

    /// Returns the account with this number: the parts of a transaction that write its items.
    fn copy(&self, number: usize, table: &str) -> Vec<String> {
        let mut random = Random(u64::try_from(number).unwrap_or_default().wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let phone = format!("+2{}", phone(number));
        let ids: Vec<_> = self.ids.iter().map(|id| (id, random.uuid())).collect();
        self.items
            .iter()
            .map(|item| {
                let item = item.replace(&self.phone, &phone);
                let item = ids.iter().fold(item, |item, (old, new)| item.replace(*old, new));
                format!("{{\"Put\":{{\"TableName\":\"{table}\",\"Item\":{item}}}}}")
            })
            .collect()
    }
}
