//! A sandbox: one process of a function, and the Runtime API that it polls
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{Failure, services::Services};

/// The longest time that a function may take until it asks or answers; under valgrind all is fifty times as slow.
const PATIENCE: Duration = Duration::from_mins(3);

/// How often in a row, and how far apart, a process must be seen at rest. Threads of the mock that wake up may have to wait
/// for a processor in between.
const QUIET: (u32, Duration) = (8, Duration::from_millis(10));

/// What a function said to the Runtime API.
enum Said {
    /// It asks for the next event; the bytes are to be sent to it.
    Next(Instant, Sender<Vec<u8>>),
    /// It answers an event, or reports an error.
    Answer { at: Instant, body: String, is_error: bool },
}

/// A running function.
pub(crate) struct Sandbox {
    process: Child,
    said: Receiver<Said>,
    next: Option<Sender<Vec<u8>>>,
    started: Instant,
    invocations: u32,
    logged: Arc<AtomicU64>,
}

/// What a process has used since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// CPU time, in milliseconds.
    pub(crate) cpu_ms: f64,
    /// The most memory that was resident, in MiB. Most of it are pages of the binary, of which the kernel maps more or fewer
    /// at once, as they are in its cache.
    pub(crate) peak_mib: f64,
    /// The memory that is resident now and no file's, in MiB: heap, stacks, and what the dynamic loader has written.
    pub(crate) own_mib: f64,
}

impl Sandbox {
    /// Starts a command with these variables and nothing else of this process's environment.
    pub(crate) fn start(command: &[String], variables: &[(String, String)]) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (sender, said) = channel();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                std::thread::spawn(move || serve(connection, &sender));
            }
        });
        let (program, arguments) = command.split_first().ok_or("there is no command")?;
        let started = Instant::now();
        let mut process = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .envs([
                ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
            ])
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let logged = Arc::new(AtomicU64::new(0));
        if let Some(mut output) = process.stdout.take() {
            let logged = logged.clone();
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = output.read(&mut bytes) {
                    logged.fetch_add(count as u64, Relaxed);
                }
            });
        }
        Ok(Self { process, said, next: None, started, invocations: 0, logged })
    }

    /// Waits until the function asks for its first event. Returns the time since its start.
    pub(crate) fn ready(&mut self) -> Result<Duration, Failure> {
        match self.said.recv_timeout(PATIENCE)? {
            Said::Next(at, sender) => {
                self.next = Some(sender);
                Ok(at - self.started)
            }
            Said::Answer { body, .. } => Err(format!("the function did not start: {body}").into()),
        }
    }

    /// Sends an event and returns the answer and the time that it took.
    pub(crate) fn invoke(&mut self, event: &str) -> Result<(String, Duration), Failure> {
        if self.next.is_none() {
            self.ready()?;
        }
        self.invocations += 1;
        let until = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() + PATIENCE.as_millis();
        let mut message = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
             lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-{:012x}\r\n\
             lambda-runtime-deadline-ms: {until}\r\n\
             lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:123456789012:function:bench\r\n\
             lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0\r\n\
             content-length: {}\r\n\r\n",
            self.invocations,
            event.len()
        )
        .into_bytes();
        message.extend_from_slice(event.as_bytes());
        let sent = Instant::now();
        self.next.take().ok_or("the function does not wait")?.send(message)?;
        loop {
            match self.said.recv_timeout(PATIENCE)? {
                Said::Next(_, sender) => self.next = Some(sender),
                Said::Answer { is_error: true, body, .. } => return Err(format!("the function failed: {body}").into()),
                Said::Answer { at, body, .. } => return Ok((body, at - sent)),
            }
        }
    }

    /// Waits until the process sleeps and what it calls has nothing to do for it, so that nothing that it began is left to
    /// be done at another time. Depends on no speed: a process that waits for a processor does not sleep.
    pub(crate) fn settle(&self, services: &Services) -> Result<(), Failure> {
        let (until, mut quiet) = (Instant::now() + PATIENCE, 0);
        while quiet < QUIET.0 {
            if Instant::now() > until {
                return Err("the function never comes to rest".into());
            }
            quiet = if sleeps(self.process.id())? && !services.is_busy() { quiet + 1 } else { 0 };
            std::thread::sleep(QUIET.1);
        }
        Ok(())
    }

    /// Returns what the process has used since its start.
    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        usage_of(self.process.id())
    }

    /// Returns how many bytes the function has logged. What it wrote a moment ago may be missing.
    pub(crate) fn logged(&self) -> u64 {
        self.logged.load(Relaxed)
    }

    /// Asks the process to end, so that valgrind writes what it has counted, and waits for that.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns whether every thread of a process sleeps.
pub(crate) fn sleeps(process: u32) -> Result<bool, Failure> {
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end meanwhile. The name, in parentheses, may contain anything.
        let stat = fs::read_to_string(thread?.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        if state != Some('S') {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns what a process has used since its start, without threads that have ended. Exact while all of it sleeps.
pub(crate) fn usage_of(process: u32) -> Result<Usage, Failure> {
    let folder = format!("/proc/{process}");
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir(format!("{folder}/task"))? {
        let times = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += times.split(' ').next().unwrap_or_default().parse::<f64>()?;
    }
    let (peak_mib, own_mib) =
        (memory_mib(process, "status", "VmHWM")?, memory_mib(process, "smaps_rollup", "Anonymous")?);
    Ok(Usage { cpu_ms: nanoseconds / 1e6, peak_mib, own_mib })
}

/// Returns a field of a process's `status` or `smaps_rollup` in MiB.
pub(crate) fn memory_mib(process: u32, file: &str, field: &str) -> Result<f64, Failure> {
    let text = fs::read_to_string(format!("/proc/{process}/{file}"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib = value.ok_or_else(|| format!("there is no {field}"))?;
    Ok(kib.split_whitespace().next().unwrap_or_default().parse::<f64>()? / 1024.0)
}

/// An HTTP message: its first line, its headers, and its body.
pub(crate) type Message = (String, Vec<(String, String)>, Vec<u8>);

/// Reads one HTTP message. None if there is no other, or it is broken.
pub(crate) fn read_message(reader: &mut impl BufRead) -> Option<Message> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let (mut headers, mut length, mut is_chunked) = (Vec::new(), 0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        match name.as_str() {
            "content-length" => length = value.parse().ok()?,
            "transfer-encoding" => is_chunked = true,
            _ => {}
        }
        headers.push((name, value));
    }
    let mut body = Vec::new();
    if is_chunked {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim().split(';').next()?, 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(chunk.get(..size)?);
        }
    } else {
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
    }
    Some((first, headers, body))
}

/// Serves the Runtime API on one connection.
fn serve(connection: TcpStream, said: &Sender<Said>) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut writer = connection.try_clone().ok()?;
    let mut reader = BufReader::new(connection);
    loop {
        let (first, _, body) = read_message(&mut reader)?;
        let at = Instant::now();
        let path = first.split(' ').nth(1)?;
        if path.ends_with("/next") {
            let (sender, event) = channel();
            said.send(Said::Next(at, sender)).ok()?;
            writer.write_all(&event.recv().ok()?).ok()?;
            continue;
        }
        writer.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").ok()?;
        let is_error = path.ends_with("/error");
        said.send(Said::Answer { at, body: String::from_utf8_lossy(&body).into_owned(), is_error }).ok()?;
    }
}
