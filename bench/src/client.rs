//! A client for load: connections that stay open, each on a thread of its own, for a bounded time and number of rounds.

use std::{
    io::{BufReader, Write as _},
    net::TcpStream,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Failure,
    cold::as_number,
    program::Program,
    sandbox::{Message, read_message},
    services::Request,
};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The rounds of each connection before those that count.
const WARM_UP: usize = 3;

/// A connection that stays open.
pub(crate) struct Connection {
    host: String,
    reader: BufReader<TcpStream>,
}

/// What a server answered.
pub(crate) struct Answer {
    /// The headers, with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, or null if it is no JSON.
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) text: String,
}

impl Answer {
    /// Returns a text of the body, by its JSON pointer.
    pub(crate) fn text_at(&self, pointer: &str) -> Result<String, Failure> {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        Ok(text.ok_or_else(|| format!("an answer has no {pointer}"))?.to_owned())
    }
}

impl Connection {
    /// Connects to `host:port`.
    pub(crate) fn open(host: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { host: host.to_owned(), reader: BufReader::new(stream) })
    }

    /// Returns the host and the port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Sends a request, and returns the answer. Fails if its status is no success, without repeating what it says, which
    /// may be a secret.
    pub(crate) fn send(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        self.reader.get_mut().write_all(request.message(&self.host, "keep-alive")?.as_bytes())?;
        let (first, headers, body): Message =
            read_message(&mut self.reader).ok_or_else(|| format!("{} was not answered", request.path))?;
        let status = first.split(' ').nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            return Err(format!("{} {} answered {status}", request.method, request.path).into());
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { headers, body: serde_json::from_str(&text).unwrap_or_default(), text })
    }

    /// Sends JSON by POST.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.send(&Request { method: "POST", path, headers: &[], body: &body.to_string() })
    }

    /// Sends a request with a bearer token.
    pub(crate) fn get_as(&mut self, path: &str, token: &str) -> Result<Answer, Failure> {
        let authorization = format!("Bearer {token}");
        self.send(&Request { method: "GET", path, headers: &[("authorization", &authorization)], body: "" })
    }
}

/// One round of a client: its requests on its connection. Its result is whether there is another round.
pub(crate) type Round<'a> = Box<dyn FnMut(&mut Connection) -> Result<bool, Failure> + Send + 'a>;

/// The bounds of a load, which ends with the first that is reached.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// The time.
    pub(crate) time: Duration,
    /// The number of rounds of all connections together, without those that warm up.
    pub(crate) rounds: usize,
}

/// What a load measured.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Rounds per second.
    pub(crate) per_second: f64,
    /// CPU time of the server per round, in ms.
    pub(crate) cpu_ms: f64,
    /// The durations of all rounds in ms, the shortest first.
    durations: Vec<f64>,
}

impl Load {
    /// Returns the duration in ms that this part of the rounds does not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let place = (self.durations.len() * percent).div_ceil(100).saturating_sub(1);
        self.durations.get(place).copied().unwrap_or(f64::NAN)
    }
}

/// Lets every client go round on a connection of its own, all at once.
pub(crate) fn load(program: &Program, clients: Vec<Round<'_>>, bounds: Bounds) -> Result<Load, Failure> {
    // All wait for each other twice: before and after the server's CPU time is read.
    let (barrier, begun) = (Barrier::new(clients.len() + 1), AtomicUsize::new(0));
    let (barrier, begun) = (&barrier, &begun);
    std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .into_iter()
            .map(|mut round| {
                scope.spawn(move || {
                    let warm = Connection::open(&program.host).and_then(|mut connection| {
                        for _ in 0..WARM_UP {
                            round(&mut connection)?;
                        }
                        Ok(connection)
                    });
                    barrier.wait();
                    barrier.wait();
                    let (mut connection, until) = (warm?, Instant::now() + bounds.time);
                    let mut durations = Vec::new();
                    while Instant::now() < until && begun.fetch_add(1, Relaxed) < bounds.rounds {
                        let started = Instant::now();
                        let goes_on = round(&mut connection)?;
                        durations.push(started.elapsed().as_secs_f64() * 1e3);
                        if !goes_on {
                            break;
                        }
                    }
                    Ok::<_, Failure>(durations)
                })
            })
            .collect();
        barrier.wait();
        let before = program.cpu_ms();
        let started = Instant::now();
        barrier.wait();
        let mut durations = Vec::new();
        for thread in threads {
            durations.extend(thread.join().map_err(|_| "a client panicked")??);
        }
        let (seconds, cpu_ms) = (started.elapsed().as_secs_f64(), program.cpu_ms()? - before?);
        durations.sort_by(f64::total_cmp);
        let rounds = as_number(durations.len());
        Ok(Load { per_second: rounds / seconds, cpu_ms: cpu_ms / rounds, durations })
    })
}
