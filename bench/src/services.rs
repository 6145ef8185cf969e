//! A mock of DynamoDB and Secrets Manager over TLS, on two host names as on AWS. It passes each call on to the dev
//! server, or answers from memory, without latency, what it has heard before.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    io::{BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};

use crate::{Failure, sandbox::read_message};

/// One call of a function.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The operation, such as `GetItem`.
    pub(crate) operation: String,
    /// Consumed read and write units.
    pub(crate) units: (f64, f64),
}

/// What functions have asked since [`Services::forget`].
#[derive(Default)]
struct Heard {
    answers: HashMap<String, (u16, Vec<u8>)>,
    replays: bool,
    calls: Vec<Call>,
    connections: usize,
    /// Handshakes and calls that are not finished.
    unfinished: usize,
}

/// The mock, and where it listens.
pub(crate) struct Services {
    /// The URL of DynamoDB.
    pub(crate) dynamodb: String,
    /// The URL of Secrets Manager.
    pub(crate) secrets: String,
    /// The root certificate that a function must trust.
    root: CertificateDer<'static>,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Clone)]
struct Mock {
    upstream: String,
    heard: Arc<Mutex<Heard>>,
}

impl Services {
    /// Starts the mock in front of a dev server.
    pub(crate) fn start(upstream: &str, scratch: &Path) -> Result<Self, Failure> {
        let folder = certificates(scratch);
        make_certificates(&folder)?;
        let chain = CertificateDer::pem_file_iter(folder.join("chain.pem"))?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(folder.join("leaf.key"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let (config, heard) = (Arc::new(config), Arc::new(Mutex::new(Heard::default())));
        let mock = Mock { upstream: upstream.to_owned(), heard: heard.clone() };
        let listen = |host: &str| {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let url = format!("https://{host}:{}", listener.local_addr()?.port());
            let (config, mock) = (config.clone(), mock.clone());
            std::thread::spawn(move || accept(&listener, &config, &mock));
            Ok::<_, Failure>(url)
        };
        let (dynamodb, secrets) = (listen("localhost")?, listen("127.0.0.1")?);
        Ok(Self { dynamodb, secrets, root: CertificateDer::from_pem_file(Self::root_of(scratch))?, heard })
    }

    /// Returns where the mock's root is, in PEM.
    pub(crate) fn root_of(scratch: &Path) -> PathBuf {
        certificates(scratch).join("root.pem")
    }

    /// Forgets every answer, and lets the dev server answer from now on.
    pub(crate) fn record(&self) {
        let mut heard = lock(&self.heard);
        heard.answers.clear();
        heard.replays = false;
    }

    /// Answers from memory, without latency, what has been heard since [`Self::record`].
    pub(crate) fn replay(&self) {
        lock(&self.heard).replays = true;
    }

    /// Forgets the calls and connections so far, but no answer.
    pub(crate) fn forget(&self) {
        let mut heard = lock(&self.heard);
        heard.calls.clear();
        heard.connections = 0;
    }

    /// Returns the calls since [`Self::forget`].
    pub(crate) fn calls(&self) -> Vec<Call> {
        lock(&self.heard).calls.clone()
    }

    /// Returns the number of connections since [`Self::forget`].
    pub(crate) fn connections(&self) -> usize {
        lock(&self.heard).connections
    }

    /// Returns whether a handshake or a call is not finished.
    pub(crate) fn is_busy(&self) -> bool {
        lock(&self.heard).unfinished > 0
    }

    /// Writes a copy of a binary that trusts the mock: the mock's root has the place of Amazon's first one, byte for
    /// byte as long, so that nothing else differs. A function that calls nobody contains no roots and is copied as it is.
    pub(crate) fn copy_that_trusts(&self, binary: &Path, to: &Path) -> Result<(), Failure> {
        let first = amazons_first_root()?;
        let (first, ours) = (first.as_ref(), self.root.as_ref());
        if ours.len() != first.len() {
            return Err("the mock's root has another length".into());
        }
        let mut bytes = fs::read(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
        let at = bytes.windows(first.len()).position(|window| window == first);
        if let Some(place) = at.and_then(|at| bytes.get_mut(at..at + first.len())) {
            place.copy_from_slice(ours);
        }
        let _ = fs::remove_file(to);
        fs::write(to, bytes)?;
        fs::set_permissions(to, fs::metadata(binary)?.permissions())?;
        Ok(())
    }
}

fn certificates(scratch: &Path) -> PathBuf {
    scratch.join("certificates")
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the first root that functions trust.
fn amazons_first_root() -> Result<CertificateDer<'static>, Failure> {
    Ok(CertificateDer::from_pem_slice(include_bytes!("../../shared/data/amazon-roots.pem"))?)
}

/// Makes a root, an intermediate and a server's certificate, RSA like Amazon's, by openssl. The root's name is padded
/// until the root is as long as Amazon Root CA 1.
fn make_certificates(folder: &Path) -> Result<(), Failure> {
    if folder.join("chain.pem").exists() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let openssl = |arguments: &str, subject: Option<&str>| {
        let mut command = Command::new("openssl");
        command.current_dir(folder).args(arguments.split(' '));
        if let Some(subject) = subject {
            command.args(["-subj", subject]);
        }
        let output = command.output().map_err(|error| format!("openssl: {error}"))?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err::<(), Failure>(told.into()) }
    };
    let files: [(&str, &str); 2] = [
        ("ca.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature,keyCertSign,cRLSign\n"),
        (
            "leaf.ext",
            "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n\
             subjectAltName=DNS:localhost,IP:127.0.0.1\n",
        ),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
    }
    let wanted = amazons_first_root()?.len();
    openssl("genrsa -out root.key 2048", None)?;
    // A longer name is there twice, as subject and issuer, and a longer serial number once.
    let has_length = (1..=64).flat_map(|length| [(length, 1), (length, 1000)]).find_map(|(length, serial)| {
        let subject = format!("/O=Bench/CN={}", "x".repeat(length));
        let request = format!(
            "req -x509 -new -key root.key -out root.pem -days 3650 -set_serial {serial} -addext \
             keyUsage=critical,keyCertSign"
        );
        let made = openssl(&request, Some(&subject));
        let root = made.and_then(|()| Ok(CertificateDer::from_pem_file(folder.join("root.pem"))?));
        match root {
            Ok(root) => (root.len() == wanted).then_some(Ok(())),
            Err(error) => Some(Err(error)),
        }
    });
    has_length.ok_or("no name makes the root as long as Amazon's")??;
    openssl("req -new -newkey rsa:2048 -nodes -keyout int.key -out int.csr", Some("/CN=Bench Intermediate"))?;
    openssl(
        "x509 -req -in int.csr -CA root.pem -CAkey root.key -set_serial 2 -days 3650 -extfile ca.ext -out int.pem",
        None,
    )?;
    openssl("req -new -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr", Some("/CN=localhost"))?;
    openssl(
        "x509 -req -in leaf.csr -CA int.pem -CAkey int.key -set_serial 3 -days 365 -extfile leaf.ext -out leaf.pem",
        None,
    )?;
    let chain = ["leaf.pem", "int.pem"].map(|name| fs::read_to_string(folder.join(name)));
    let [leaf, intermediate] = chain;
    fs::write(folder.join("chain.pem"), leaf? + &intermediate?)?;
    Ok(())
}

/// A handshake or a call that is not finished before this is dropped.
struct Unfinished(Arc<Mutex<Heard>>);

impl Unfinished {
    fn begin(heard: &Arc<Mutex<Heard>>) -> Self {
        lock(heard).unfinished += 1;
        Self(heard.clone())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        lock(&self.0).unfinished -= 1;
    }
}

fn shake_hands(
    mut connection: TcpStream,
    config: Arc<ServerConfig>,
) -> Option<StreamOwned<ServerConnection, TcpStream>> {
    connection.set_nodelay(true).ok()?;
    let mut session = ServerConnection::new(config).ok()?;
    while session.is_handshaking() {
        session.complete_io(&mut connection).ok()?;
    }
    Some(StreamOwned::new(session, connection))
}

fn accept(listener: &TcpListener, config: &Arc<ServerConfig>, mock: &Mock) {
    for connection in listener.incoming().map_while(Result::ok) {
        lock(&mock.heard).connections += 1;
        let handshake = Unfinished::begin(&mock.heard);
        let (config, mock) = (config.clone(), mock.clone());
        std::thread::spawn(move || {
            if let Some(session) = shake_hands(connection, config) {
                drop(handshake);
                let _ = mock.serve(BufReader::new(session));
            }
        });
    }
}

impl Mock {
    fn serve(&self, mut reader: BufReader<impl Read + Write>) -> Option<()> {
        loop {
            let (first, headers, body) = read_message(&mut reader)?;
            let _call = Unfinished::begin(&self.heard);
            let target = headers.iter().find(|(name, _)| name == "x-amz-target").map_or("", |(_, value)| value);
            let (status, answer) = if target.is_empty() && first.starts_with("GET / ") {
                (200, b"healthy: dynamodb.eu-west-1.amazonaws.com ".to_vec())
            } else {
                self.answer(target, &headers, &body).ok()?
            };
            let message = format!(
                "HTTP/1.1 {status} OK\r\nServer: Server\r\nDate: Thu, 12 Mar 2026 19:03:58 GMT\r\n\
                 Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\nConnection: keep-alive\r\n\
                 x-amzn-RequestId: ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGHIJKLMNOP\r\n\r\n",
                answer.len()
            );
            let mut message = message.into_bytes();
            message.extend_from_slice(&answer);
            reader.get_mut().write_all(&message).ok()?;
            reader.get_mut().flush().ok()?;
        }
    }

    fn answer(&self, target: &str, headers: &[(String, String)], body: &[u8]) -> Result<(u16, Vec<u8>), Failure> {
        let mut request: Value = serde_json::from_slice(body)?;
        let (service, operation) = target.split_once('.').unwrap_or_default();
        let is_secret = service == "secretsmanager";
        let key = if is_secret { format!("{target} {request}") } else { format!("{target} {}", kinds_of(&request)) };
        {
            let mut heard = lock(&self.heard);
            let known = if heard.replays { heard.answers.get(&key).cloned() } else { None };
            if let Some(known) = known {
                heard.calls.push(Call { operation: operation.to_owned(), units: (0.0, 0.0) });
                return Ok(known);
            }
        }
        let path = if is_secret { "/dev/secretsmanager" } else { "/dev/dynamodb" };
        if !is_secret {
            request["ReturnConsumedCapacity"] = json!("TOTAL");
        }
        let authorization = headers.iter().find(|(name, _)| name == "authorization").map_or("", |(_, value)| value);
        let headers = [("x-amz-target", target), ("authorization", authorization)];
        let body = request.to_string();
        let (status, answer) = Request { method: "POST", path, headers: &headers, body: &body }.send(&self.upstream)?;
        let told: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let mut heard = lock(&self.heard);
        heard.calls.push(Call { operation: operation.to_owned(), units: units(operation, &told) });
        if status == 200 {
            heard.answers.insert(key, (status, answer.clone()));
        }
        Ok((status, answer))
    }
}

/// Returns read and write units of a call.
fn units(operation: &str, answer: &Value) -> (f64, f64) {
    let consumed = &answer["ConsumedCapacity"];
    let parts = consumed.as_array().cloned().unwrap_or_else(|| vec![consumed.clone()]);
    let sum = parts.iter().filter_map(|part| part["CapacityUnits"].as_f64()).sum();
    if matches!(operation, "BatchGetItem" | "GetItem" | "Query" | "Scan") { (sum, 0.0) } else { (0.0, sum) }
}

/// Returns the kinds of the items that a request names, by the beginnings of its first keys.
fn kinds_of(request: &Value) -> String {
    let text = request.to_string();
    let kind = |name: &str| {
        let mark = format!("\"{name}\":{{\"S\":\"");
        let rest = text.find(&mark).and_then(|at| text.get(at + mark.len()..)).unwrap_or_default();
        rest.split(['#', '"']).next().unwrap_or_default().to_owned()
    };
    format!("{} {}", kind("pk"), kind("sk"))
}

/// A request to the dev server.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a str,
}

impl Request<'_> {
    /// Returns the bytes to send, for a connection that stays open (`keep-alive`) or does not (`close`).
    pub(crate) fn message(&self, host: &str, connection: &str) -> Result<String, Failure> {
        let Self { method, path, headers, body } = self;
        let mut message = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            write!(message, "{name}: {value}\r\n")?;
        }
        write!(message, "connection: {connection}\r\n")?;
        if !headers.iter().any(|(name, value)| *name == "content-type" && !value.is_empty()) {
            message += "content-type: application/json\r\n";
        }
        Ok(message + "\r\n" + body)
    }

    /// Sends it. Returns the status and the body of the answer.
    pub(crate) fn send(&self, host: &str) -> Result<(u16, Vec<u8>), Failure> {
        let mut connection = TcpStream::connect(host)?;
        connection.set_nodelay(true)?;
        connection.write_all(self.message(host, "close")?.as_bytes())?;
        let mut reader = BufReader::new(connection);
        let (first, _, body) = read_message(&mut reader).ok_or("the dev server's answer is no HTTP")?;
        Ok((first.split(' ').nth(1).unwrap_or_default().parse()?, body))
    }
}

/// Returns the folder for what is made on the way, which is not committed.
pub(crate) fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("latchkey-bench-{}", std::process::id()))
}
