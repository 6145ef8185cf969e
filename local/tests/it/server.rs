//! The real `cargo run` server: a process, a port, a folder.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use latchkey::{domain::phone::Phone, store::Profile};
use operator::Place;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::harness::{E164, OTHER_PHONE, PASSWORD, PHONE, TEMPLATE, another_code, root};

/// A server that ends with the test.
struct Server {
    process: Child,
    url: String,
    /// What it printed before it was ready.
    said: String,
    // Kept open: a server that writes to a closed pipe would fail.
    _stdout: BufReader<ChildStdout>,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    // A server that is killed leaves its temporary folder behind.
    command.current_dir(root()).env_remove("PORT").env("TMPDIR", env!("CARGO_TARGET_TMPDIR")).args(arguments);
    command
}

impl Server {
    /// Starts one on a free port and waits for its last line.
    fn start(arguments: &[&str]) -> Self {
        Self::start_on("0", arguments)
    }

    fn start_on(port: &str, arguments: &[&str]) -> Self {
        Self::started(command(&["--port", port]).args(arguments))
    }

    fn started(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let (mut line, mut said) = (String::new(), String::new());
        let url = loop {
            line.clear();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "the server ended before it was ready");
            if let Some(url) = line.trim().strip_prefix("Latchkey is ready on ") {
                break url.to_owned();
            }
            said.push_str(&line);
        };
        Self { process, url, said, _stdout: stdout }
    }

    fn port(&self) -> &str {
        self.url.rsplit(':').next().unwrap()
    }

    /// One request, its status and its body.
    fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        self.request_to(self.url.strip_prefix("http://").unwrap(), method, path, headers, body)
    }

    /// [`Self::request`], sent to this name.
    fn request_to(&self, host: &str, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let (head, body) = self.exchange_with(host, method, path, headers, body);
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// One request, the head of its response and the body.
    fn exchange(&self, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
        self.exchange_with(self.url.strip_prefix("http://").unwrap(), method, path, headers, body)
    }

    fn exchange_with(&self, host: &str, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A server that has read enough may answer before everything is sent.
        let _ = stream.write_all(body.as_bytes());
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, body) = self.request("POST", path, "Content-Type: application/json\r\n", &body.to_string());
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    fn me(&self, token: &str) -> u16 {
        self.request("GET", "/auth/me", &format!("Authorization: Bearer {token}\r\n"), "").0
    }

    /// Ends it as Ctrl-C does, and waits.
    fn interrupt(mut self) {
        // The shell's own `kill`: not every machine has one as a program.
        let kill = format!("kill -INT {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success(), "Ctrl-C is a clean end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn accounts_sessions_and_codes_are_still_there_after_a_restart() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("kept");
    let arguments = ["--data", data.to_str().unwrap()];
    let account = json!({"phone": PHONE, "password": PASSWORD});

    let server = Server::start(&arguments);
    let (status, registered) = server.post("/auth/register", &account);
    assert_eq!((status, &registered["phone"]), (201, &json!(E164)));
    let (status, tokens) = server.post("/auth/login", &account);
    assert_eq!(status, 200);
    let token = tokens["access_token"].as_str().unwrap().to_owned();
    assert_eq!(server.me(&token), 200);
    let (status, reset) = server.post("/auth/request-reset", &json!({"phone": PHONE}));
    assert_eq!(status, 202);
    let (_, page) = server.request("GET", "/dev/messages", "", "");
    assert!(page.contains(E164) && page.contains(reset["otp"].as_str().unwrap()));
    server.interrupt();

    let server = Server::start(&arguments);
    assert_eq!(server.post("/auth/register", &account).0, 409);
    let verify = json!({"phone": PHONE, "otp": reset["otp"], "new_password": "a new password"});
    assert_eq!(server.post("/auth/verify-reset", &verify).0, 204);
    assert_eq!(server.me(&token), 401);
    server.interrupt();
}

/// What counts, and what is spent, is in the table and in no process.
#[test]
fn guesses_and_spent_tokens_are_still_counted_after_a_restart() {
    let folder = tempdir().unwrap();
    let arguments = ["--data", folder.path().to_str().unwrap(), "--env", "REFRESH_GRACE_SECONDS=0"];
    let account = json!({"phone": PHONE, "password": PASSWORD});
    let guess = json!({"phone": PHONE, "password": "a wrong password"});
    let reset = |code: &str| json!({"phone": PHONE, "otp": code, "new_password": "a new password"});

    let server = Server::start(&arguments);
    assert_eq!(server.post("/auth/register", &account).0, 201);
    let spent = server.post("/auth/login", &account).1;
    let (status, next) = server.post("/auth/refresh", &json!({"refresh_token": spent["refresh_token"]}));
    assert_eq!(status, 200);
    let code = server.post("/auth/request-reset", &json!({"phone": PHONE})).1["otp"].as_str().unwrap().to_owned();
    let wrong = another_code(&code);
    for _ in 0..3 {
        assert_eq!(server.post("/auth/verify-reset", &reset(&wrong)).0, 400);
        assert_eq!(server.post("/auth/login", &guess).0, 401);
    }
    server.interrupt();

    // Killed in the middle, and started again.
    let mut server = Server::start(&arguments);
    for _ in 0..2 {
        assert_eq!(server.post("/auth/verify-reset", &reset(&wrong)).0, 400);
        assert_eq!(server.post("/auth/login", &guess).0, 401);
    }
    server.process.kill().unwrap();
    server.process.wait().unwrap();

    let server = Server::start(&arguments);
    assert_eq!(server.post("/auth/verify-reset", &reset(&code)).0, 400, "the fifth try was the last");
    assert_eq!(server.post("/auth/login", &guess).0, 401);
    let (status, throttled) = server.post("/auth/login", &account);
    assert_eq!((status, &throttled["bucket"]), (429, &json!("login-phone")), "the sixth guess begins the waits");
    // A spent refresh token is a thief's: it ends the session, whichever process issued it. An access token names the
    // port, which is another one now.
    let (status, live) = server.post("/auth/refresh", &json!({"refresh_token": next["refresh_token"]}));
    assert_eq!(status, 200);
    let token = live["access_token"].as_str().unwrap();
    assert_eq!(server.me(token), 200);
    let (status, problem) = server.post("/auth/refresh", &json!({"refresh_token": spent["refresh_token"]}));
    assert_eq!((status, &problem["code"]), (401, &json!("invalid-token")));
    assert_eq!(server.me(token), 401);
}

#[test]
fn a_token_outlives_a_restart_on_the_same_port() {
    let folder = tempdir().unwrap();
    let arguments = ["--data", folder.path().to_str().unwrap()];
    let account = json!({"phone": PHONE, "password": PASSWORD});
    let server = Server::start(&arguments);
    server.post("/auth/register", &account);
    let token = server.post("/auth/login", &account).1["access_token"].as_str().unwrap().to_owned();
    let port = server.port().to_owned();
    server.interrupt();
    let server = Server::start_on(&port, &arguments);
    assert_eq!(server.me(&token), 200);
}

#[test]
fn in_memory_nothing_is_kept() {
    let account = json!({"phone": PHONE, "password": PASSWORD});
    for _ in 0..2 {
        let server = Server::start(&["--memory"]);
        assert_eq!(server.post("/auth/register", &account).0, 201);
        server.interrupt();
    }
}

#[test]
fn variables_are_overridden_by_the_environment_and_by_arguments() {
    let server = Server::start(&["--memory", "--env", "OTP_EXPOSE=false", "--env", "PASSWORD_MIN_LENGTH=20"]);
    let short = json!({"phone": PHONE, "password": PASSWORD});
    assert_eq!(server.post("/auth/register", &short).0, 422);
    let (status, body) = server.post("/auth/request-reset", &json!({"phone": PHONE}));
    assert_eq!((status, body.get("otp")), (202, None), "a code is not exposed");
}

#[test]
fn large_and_unknown_requests_are_answered_and_the_server_goes_on() {
    let server = Server::start(&["--memory"]);
    let large = "x".repeat(40_000);
    let json_header = "Content-Type: application/json\r\n";
    assert_eq!(server.request("POST", "/auth/login", json_header, &large).0, 413);
    assert_eq!(server.request("GET", "/nothing", "", "").0, 404);
    assert_eq!(server.request("DELETE", "/auth/login", "", "").0, 405);
    assert_eq!(server.request("GET", "/health", "", "").0, 200);
}

/// Proxies join several values of `X-Forwarded-Proto` by commas, and some tools ask for `*`.
#[test]
fn what_makes_no_url_is_answered() {
    let server = Server::start(&["--memory"]);
    for headers in [
        "X-Forwarded-Proto: https, http\r\n",
        "X-Forwarded-Proto: \r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https\r\n",
        "X-Forwarded-Proto: \"https\"\r\n",
    ] {
        assert_eq!(server.request("GET", "/health", headers, "").0, 200, "{headers}");
    }
    assert_eq!(server.request("OPTIONS", "*", "", "").0, 404);
    assert_eq!(server.request("GET", "*", "", "").0, 404);
    assert_eq!(server.request("GET", "/health?a={b}&|c", "", "").0, 200);
    assert_eq!(server.request("GET", &format!("/{}", "|".repeat(60_000)), "", "").0, 404);
}

/// A page on another port of this machine, as a developer's own; and one that was opened from a file, which is `null`.
#[test]
fn pages_of_this_machine_may_call_the_api_and_nothing_else() {
    let server = Server::start(&["--memory"]);
    let large = "{\"a\": \"".to_owned() + &"x".repeat(2 * 1024 * 1024);
    let json = "Content-Type: application/json\r\n";
    for (origin, allowed) in [
        ("http://localhost:5173", true),
        ("http://127.0.0.1:3000", true),
        ("http://localhost", true),
        ("null", false),
        ("https://evil.example", false),
        ("http://localhost.evil.example", false),
    ] {
        let expected = allowed.then(|| format!("\r\naccess-control-allow-origin: {origin}\r\n"));
        let page = format!("Origin: {origin}\r\n");
        for (method, path, headers, body, status) in [
            ("GET", "/health", "", "", 200),
            ("HEAD", "/health", "", "", 200),
            ("POST", "/auth/login", json, "{}", 422),
            ("POST", "/auth/login", json, large.as_str(), 413),
            ("GET", "/nothing", "", "", 404),
            ("DELETE", "/auth/login", "", "", 405),
        ] {
            let (head, _) = server.exchange(method, path, &format!("{page}{headers}"), body);
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}");
            let found = head.contains("access-control-");
            assert_eq!(found, allowed, "{origin} {method} {path}");
            assert!(expected.as_ref().is_none_or(|expected| head.contains(expected)), "{origin} {method} {path}");
        }
        let ask =
            format!("{page}Access-Control-Request-Method: DELETE\r\nAccess-Control-Request-Headers: authorization\r\n");
        let (head, _) = server.exchange("OPTIONS", "/auth/me", &ask, "");
        assert_eq!(head.starts_with("HTTP/1.1 204 "), allowed, "{origin}");
        // The inbox and the table are not part of the API.
        for path in ["/dev/messages", "/dev/users", "/dev/qr", "/dev/dynamodb"] {
            assert!(!server.exchange("GET", path, &page, "").0.contains("access-control-"), "{path}");
        }
    }
    // Of HEAD there is the length, and nothing else.
    let (get, body) = server.exchange("GET", "/health", "", "");
    let (head, nothing) = server.exchange("HEAD", "/health", "", "");
    let length = format!("\r\ncontent-length: {}", body.len());
    assert!(get.contains(&length) && head.contains(&length) && nothing.is_empty());
}

/// What `sam local start-api --env-vars` reads: it passes on what the template declares and nothing else.
#[test]
fn sam_is_told_the_addresses_as_a_container_sees_them() {
    let folder = tempdir().unwrap();
    let audience = r#"$A "b" \c `d`"#;
    let setting = format!("JWT_AUDIENCE={audience}");
    let server = Server::start(&["--data", folder.path().to_str().unwrap(), "--env", &setting]);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let told: Value = serde_json::from_str(&read("lambda.json")).unwrap();
    let told = told["Parameters"].as_object().unwrap();
    let at = |path: &str| format!("http://host.docker.internal:{}{path}", server.port());
    assert_eq!(told["AWS_ENDPOINT_URL_DYNAMODB"], at("/dev/dynamodb"));
    assert_eq!(told["AWS_ENDPOINT_URL_SECRETS_MANAGER"], at("/dev/secretsmanager"));
    assert_eq!((&told["JWT_ISSUER"], &told["JWT_AUDIENCE"]), (&json!(server.url), &json!(audience)));
    let mut declared: Vec<_> = TEMPLATE.functions.iter().flat_map(|function| function.environment.keys()).collect();
    declared.sort_unstable();
    declared.dedup();
    assert_eq!(told.keys().collect::<Vec<_>>(), declared);
    assert!(read("lambda.env").contains(&format!("\nJWT_ISSUER=\"{}\"\n", server.url)));
    // As a shell reads it.
    assert!(read("lambda.env").contains(concat!("\nJWT_AUDIENCE=\"", r#"\$A \"b\" \\c \`d\`"#, "\"\n")));
}

#[test]
fn a_page_of_another_site_reads_neither_messages_nor_table() {
    let folder = tempdir().unwrap();
    let server = Server::start(&["--data", folder.path().to_str().unwrap()]);
    let environment = fs::read_to_string(folder.path().join("lambda.env")).unwrap();
    let key = environment.lines().find_map(|line| line.strip_prefix("AWS_ACCESS_KEY_ID=")).unwrap().trim_matches('"');
    let target = "X-Amz-Target: DynamoDB_20120810.Scan\r\n";
    let scan =
        &format!("{target}Authorization: AWS4-HMAC-SHA256 Credential={key}/20261124/local/dynamodb/aws4_request\r\n");
    for (host, expected) in [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("app.localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("0.0.0.0:8000", 200),
        ("[::1]", 200),
        ("[::1]:80", 200),
        ("rebound.example", 421),
        ("localhost.rebound.example:8000", 421),
        ("192.0.2.1", 421),
        ("", 421),
    ] {
        assert_eq!(server.request_to(host, "GET", "/dev/messages", "", "").0, expected, "{host}");
        let table = r#"{"TableName": "Table"}"#;
        assert_eq!(server.request_to(host, "POST", "/dev/dynamodb", scan, table).0, expected, "{host}");
        let (json, account) = ("Content-Type: application/json\r\n", json!({"phone": PHONE}).to_string());
        let (status, answer) = server.request_to(host, "POST", "/auth/request-reset", json, &account);
        assert_eq!(status == 421, expected == 421, "{host}: {status}");
        assert!(expected == 200 || !answer.contains("otp"), "{host}");
        for path in
            ["/", "/dev/users", "/dev/qr", "/health", "/docs", "/openapi.json", "/.well-known/jwks.json", "/nothing"]
        {
            let found = if path == "/nothing" && expected == 200 { 404 } else { expected };
            assert_eq!(server.request_to(host, "GET", path, "", "").0, found, "{host} {path}");
        }
    }
    // A second name, and one in the request line, are names as well.
    assert_eq!(server.request("GET", "/health", "Host: rebound.example\r\n", "").0 / 100, 4);
    assert_eq!(server.request("GET", "http://rebound.example/health", "", "").0, 421);
    assert_eq!(server.request("GET", "http://127.0.0.1/health", "", "").0, 200);
    // What a server that is gone left in another folder does not lead to this one's table.
    let (status, answer) = server.request("POST", "/dev/dynamodb", target, r#"{"TableName": "Table"}"#);
    assert_eq!(status, 400);
    assert!(answer.contains("UnrecognizedClientException") && answer.contains("lambda.env"));
}

/// Every name of this machine leads to the same service, whose tokens name the address that it printed.
#[test]
fn by_every_name_of_this_machine_the_issuer_is_the_printed_address() {
    let server = Server::start(&["--memory"]);
    server.post("/auth/register", &json!({"phone": PHONE, "password": PASSWORD}));
    let account = json!({"phone": PHONE, "password": PASSWORD}).to_string();
    let hosts = ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "app.localhost"];
    let hosts = hosts.map(|name| format!("{name}:{}", server.port()));
    for host in &hosts {
        let json = "Content-Type: application/json\r\n";
        let (status, tokens) = server.request_to(host, "POST", "/auth/login", json, &account);
        assert_eq!(status, 200, "{host}");
        let tokens: Value = serde_json::from_str(&tokens).unwrap();
        let token = tokens["access_token"].as_str().unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["iss"], server.url, "{host}");
        let (_, metadata) = server.request_to(host, "GET", "/.well-known/openid-configuration", "", "");
        assert_eq!(serde_json::from_str::<Value>(&metadata).unwrap()["issuer"], server.url, "{host}");
        for host in &hosts {
            let bearer = format!("Authorization: Bearer {token}\r\n");
            assert_eq!(server.request_to(host, "GET", "/auth/me", &bearer, "").0, 200, "{host}");
        }
    }
}

#[test]
fn a_request_for_another_host_is_told_where_to_send_it() {
    let server = Server::start(&["--memory"]);
    let page = "Origin: http://localhost:3000\r\n";
    let (head, body) = server.exchange_with("rebound.example", "GET", "/health", page, "");
    assert!(head.starts_with("HTTP/1.1 421 ") && !head.contains("access-control-"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/problem+json"), "{head}");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&problem["status"], &problem["code"]), (&json!(421), &json!("misdirected-request")));
    assert_eq!(problem["type"], "urn:latchkey:problem:misdirected-request");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&server.url) && detail.contains("--host"), "{detail}");
}

/// Responses and the page of messages contain every code.
#[test]
fn a_server_for_other_devices_says_that_they_can_sign_in_as_anyone() {
    let warning = "Anyone who reaches this port can sign in as anyone: responses and /dev/messages contain every code.";
    assert!(Server::start(&["--memory", "--host", "0.0.0.0"]).said.contains(warning));
    let here = Server::start(&["--memory"]);
    assert!(here.said.contains("API documentation") && !here.said.contains(warning));
}

/// Other users of this machine read no hash and no key, even if the folder and the files were there before.
#[cfg(unix)]
#[test]
fn the_data_folder_and_its_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let open_up = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let account = json!({"phone": PHONE, "password": PASSWORD});
    let parent = tempdir().unwrap();
    for existing in [false, true] {
        let folder = parent.path().join(existing.to_string());
        if existing {
            fs::create_dir(&folder).unwrap();
            open_up(&folder, 0o755);
        }
        for run in 0..2 {
            let server = Server::start(&["--data", folder.to_str().unwrap()]);
            server.post("/auth/register", &account);
            assert_eq!(mode(&folder), 0o700);
            let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
            assert!(files.iter().any(|file| file.ends_with("dynamodb.sqlite-wal")), "{files:?}");
            for file in &files {
                assert_eq!(mode(file), 0o600, "{}, run {run}", file.display());
            }
            drop(server);
            // As an older version left them.
            open_up(&folder, 0o755);
            files.iter().filter(|file| file.exists()).for_each(|file| open_up(file, 0o644));
        }
    }
    // A folder with something else in it is not ours to close.
    let shared = parent.path().join("shared");
    fs::create_dir(&shared).unwrap();
    open_up(&shared, 0o755);
    fs::write(shared.join("notes"), "").unwrap();
    open_up(&shared.join("notes"), 0o644);
    let _server = Server::start(&["--data", shared.to_str().unwrap()]);
    assert_eq!((mode(&shared), mode(&shared.join("notes"))), (0o755, 0o644));
    assert_eq!((mode(&shared.join("dynamodb.sqlite")), mode(&shared.join("secrets.json"))), (0o600, 0o600));
}

#[test]
fn a_folder_is_for_one_server_at_a_time() {
    let folder = tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let _server = Server::start(&["--data", data]);
    let output = command(&["--port", "0", "--data", data]).output().unwrap();
    fails(&output, "is in use by another `cargo run`");
}

fn fails(output: &Output, sentence: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(sentence), "{errors}");
    assert_eq!(errors.trim().lines().count(), 1, "one sentence: {errors}");
}

#[test]
fn a_port_in_use_is_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = command(&["--memory", "--port", &port]).output().unwrap();
    fails(&output, &format!("port {port} is in use"));
}

#[test]
fn a_folder_that_cannot_be_used_is_one_sentence() {
    let folder = tempdir().unwrap();
    // A file where the folder should be: refused to every user, root included.
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let data = file.join("data");
    let output = command(&["--port", "0", "--data", data.to_str().unwrap()]).output().unwrap();
    fails(&output, "cannot keep data in");
}

#[test]
fn a_file_that_is_no_database_is_one_sentence() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("dynamodb.sqlite"), "this is no database, but a text of some length").unwrap();
    let output = command(&["--port", "0", "--data", folder.path().to_str().unwrap()]).output().unwrap();
    fails(&output, "dynamodb.sqlite is not a database that can be read here; remove it");
}

#[test]
fn a_broken_template_is_one_sentence() {
    let run_in = |folder: &Path| command(&["--memory", "--port", "0"]).current_dir(folder).output().unwrap();
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("template.yaml"), "Resources: [").unwrap();
    fails(&run_in(folder.path()), "template.yaml is not YAML");
    fs::write(folder.path().join("template.yaml"), "Resources: {}").unwrap();
    fails(&run_in(folder.path()), "has no table");
}

#[test]
fn a_wrong_variable_is_one_sentence_that_names_it() {
    let run = |variable: &str| command(&["--memory", "--port", "0", "--env", variable]).output().unwrap();
    fails(&run("OTP_TTL_SECONDS=9999"), "OTP_TTL_SECONDS=9999: must be a whole number from 30 to 600");
    fails(&run("OTP_TTL_SECOND=9"), "OTP_TTL_SECOND: no function has this variable; did you mean OTP_TTL_SECONDS?");
    fails(&run("TABLE_NAME=other"), "TABLE_NAME: cannot be overridden");
    fails(&run("RUST_LOG=latchkey=foo=bar"), "RUST_LOG=latchkey=foo=bar: must be a filter");
    fails(&run("SMS_PROVIDER=sns"), "SMS_PROVIDER=sns: sends through AWS");
}

/// Different functions have these variables; each is named, with its value.
#[test]
fn all_wrong_variables_are_told_at_once_a_line_each() {
    let wrong = ["PASSWORD_MIN_LENGTH=4", "LEGACY_HASHES=md5", "REQUIRE_ACTIVATION=maybe", "SIGNING_ALGORITHM=HS256"];
    let arguments = wrong.iter().flat_map(|variable| ["--env", variable]);
    let output = command(&["--memory", "--port", "0"]).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> = errors.trim().lines().collect();
    assert_eq!(lines.len(), 1 + wrong.len(), "{errors}");
    for variable in wrong {
        assert_eq!(lines.iter().filter(|line| line.trim().starts_with(&format!("{variable}: must be"))).count(), 1);
    }
}

#[test]
fn credentials_that_the_provider_cannot_use_stop_the_start() {
    let run = |credentials: Option<&str>| {
        let mut command = command(&["--memory", "--port", "0", "--env", "SMS_PROVIDER=twilio"]);
        command.args(["--env", "SMS_SENDER_ID=Acme"]);
        command.args(credentials.map(|value| format!("--env=SMS_CREDENTIALS={value}"))).output().unwrap()
    };
    fails(&run(None), "SMS_CREDENTIALS: must be set");
    fails(&run(Some("AC1")), "SMS_CREDENTIALS: is not JSON");
    fails(&run(Some(r#"{"account_sid": "AC1"}"#)), "SMS_CREDENTIALS: lacks the member `auth_token`");
}

#[test]
fn variables_come_from_a_file_and_a_mistake_in_it_is_named() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("dev.env");
    fs::write(&file, "# ours\nexport PASSWORD_MIN_LENGTH='20'\n").unwrap();
    let server = Server::start(&["--memory", "--env-file", file.to_str().unwrap()]);
    assert_eq!(server.post("/auth/register", &json!({"phone": PHONE, "password": PASSWORD})).0, 422);
    fs::write(&file, "PASSWORD_MINIMUM=20\n").unwrap();
    let output = command(&["--memory", "--port", "0", "--env-file", file.to_str().unwrap()]).output().unwrap();
    fails(&output, "PASSWORD_MINIMUM: no function has this variable; did you mean PASSWORD_MIN_LENGTH?");
}

/// The env file of another program has names of its own, and a developer writes options of the server into it.
#[test]
fn every_name_in_a_file_that_no_function_has_is_told_with_what_to_do() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("dev.env");
    let unknown = [
        ("AWS_REGION=eu-west-1", "AWS_REGION: cannot be overridden: table and secrets are embedded here"),
        ("DATABASE_URL=postgresql://user:my-password@host/name", "DATABASE_URL: no function has this variable; docs/"),
        ("HOST=0.0.0.0", "HOST: is the server's own and no variable of a function; set it with --host"),
        ("PORT=9000", "PORT: is the server's own and no variable of a function; set it with --port"),
        ("SECRET_KEY_ARN=arn", "SECRET_KEY_ARN: cannot be overridden"),
        ("SMS_CREDENTIAL={}", "SMS_CREDENTIAL: no function has this variable; did you mean SMS_CREDENTIALS?"),
        ("SMS_CREDENTIALS_ARN=arn", "SMS_CREDENTIALS_ARN: cannot be overridden: set SMS_CREDENTIALS"),
        ("otp_ttl_seconds=60", "otp_ttl_seconds: no function has this variable; did you mean OTP_TTL_SECONDS?"),
    ];
    // A wrong value beside them is told with them.
    let lines: Vec<_> = unknown.iter().map(|(line, _)| *line).chain(["OTP_TTL_SECONDS=0"]).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    let output = command(&["--memory", "--port", "0", "--env-file", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> = errors.trim().lines().map(str::trim).collect();
    assert_eq!(lines.len(), 1 + unknown.len() + 1, "{errors}");
    for expected in unknown.map(|(_, expected)| expected).into_iter().chain(["OTP_TTL_SECONDS=0: must be"]) {
        assert_eq!(lines.iter().filter(|line| line.starts_with(expected)).count(), 1, "{expected}: {errors}");
    }
    assert!(!errors.contains("my-password"));
}

#[test]
fn a_developer_who_tries_all_day_is_not_locked_out() {
    let server = Server::start(&["--memory", "--env", "OTP_EXPOSE=false"]);
    server.post("/auth/register", &json!({"phone": PHONE, "password": PASSWORD}));
    let (_, page) = server.request("GET", "/", "", "");
    for limit in ["LIMIT_MESSAGES_PER_PHONE", "LIMIT_MESSAGES_PER_ADDRESS", "LIMIT_PHONES_PER_ADDRESS"] {
        let row = format!("<tr class=\"set\"><td><code>{limit}</code></td><td><code>1000</code></td>");
        assert!(page.contains(&row), "{limit}");
    }
    // A suite of end-to-end tests with a fresh number for each.
    for at in 0..40 {
        let (status, _) = server.post("/auth/code", &json!({"phone": format!("010123456{at:02}")}));
        assert_eq!(status, 202);
    }
}

#[test]
fn the_start_page_leads_to_everything_and_shows_the_settings_in_force() {
    let server = Server::start(&["--memory", "--env", "SERVICE_NAME=<b>Acme</b>"]);
    let (status, page) = server.request("GET", "/", "", "");
    assert_eq!(status, 200);
    assert!(page.contains("<code>&lt;b&gt;Acme&lt;/b&gt;</code></td><td>set here</td>"), "{page}");
    for link in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        if link.starts_with('/') {
            assert_eq!(server.request("GET", link, "", "").0, 200, "{link}");
        }
    }
    for (typed, page) in [
        ("/docs/", "/docs"),
        ("/dev", "/dev/messages"),
        ("/dev/", "/dev/messages"),
        ("/dev/users/", "/dev/users"),
        ("/dev/qr/", "/dev/qr"),
    ] {
        let (head, _) = server.exchange("GET", typed, "", "");
        assert!(head.starts_with("HTTP/1.1 307 ") && head.contains(&format!("location: {page}\r\n")), "{head}");
    }
}

/// The commands that the start page has for operators, as a shell reads them: what follows `--`.
fn operators_commands(server: &Server) -> Vec<Vec<String>> {
    let (_, page) = server.request("GET", "/", "", "");
    let begin = "cargo run -p admin -- ";
    let lines = page.lines().filter_map(|line| Some(line.split_once(begin)?.1.trim_end_matches("</pre>")));
    let commands = lines.map(|line| line.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"));
    commands
        .map(|line| {
            let shell = Command::new("sh").args(["-c", &format!("printf '%s\\n' {line}")]).output().unwrap();
            String::from_utf8(shell.stdout).unwrap().lines().map(str::to_owned).collect()
        })
        .collect()
}

/// Wherever the server keeps its data, and if it keeps none.
#[tokio::test]
async fn operators_commands_of_the_start_page_reach_this_server() {
    let parent = tempdir().unwrap();
    let kept = parent.path().join("it's <kept> & here");
    for arguments in [vec!["--memory"], vec!["--data", kept.to_str().unwrap()]] {
        let server = Server::start(&arguments);
        server.post("/auth/register", &json!({"phone": PHONE, "password": PASSWORD}));
        let mut commands = operators_commands(&server);
        assert_eq!(commands.pop().unwrap(), ["--help"]);
        assert_eq!(commands.len(), 3);
        let folder = PathBuf::from(&commands[0][1]);
        for command in &commands {
            assert_eq!((command[0].as_str(), command[1].as_str()), ("--data", folder.to_str().unwrap()));
        }
        assert_eq!(commands.iter().map(|command| command[2].as_str()).collect::<Vec<_>>(), ["list", "user", "stats"]);
        let place = Place { table: None, data: folder.clone() };
        let connection = place.connect().await.unwrap();
        let accounts = connection.store.profiles(10).await.unwrap();
        assert_eq!(accounts.iter().filter_map(Profile::phone).map(Phone::as_e164).collect::<Vec<_>>(), [E164]);
        server.interrupt();
        assert_eq!(folder.exists(), folder == kept, "nothing is left of a server that keeps nothing");
    }
    // Where both are started without options, none is needed.
    let server = Server::started(command(&["--port", "0"]).current_dir(parent.path()));
    assert_eq!(operators_commands(&server)[0], ["list"]);
}

#[test]
fn users_are_shown_with_what_a_developer_asks_for_and_without_secrets() {
    let server = Server::start(&["--memory"]);
    let users = |accept: &str| server.request("GET", "/dev/users", &format!("Accept: {accept}\r\n"), "");
    assert_eq!(users("application/json"), (200, json!({"users": [], "more": false}).to_string()));
    server.post("/auth/register", &json!({"phone": PHONE, "password": PASSWORD}));
    let (_, tokens) = server.post("/auth/login", &json!({"phone": PHONE, "password": PASSWORD}));
    assert_eq!(server.post("/auth/login", &json!({"phone": PHONE, "password": "a wrong password"})).0, 401);
    let (_, reset) = server.post("/auth/request-reset", &json!({"phone": PHONE}));
    let (_, asked) = server.post("/auth/code", &json!({"phone": OTHER_PHONE}));
    let (status, by_code) =
        server.post("/auth/code/verify", &json!({"challenge": asked["challenge"], "otp": asked["otp"]}));
    assert_eq!(status, 200);

    let (status, body) = users("application/json");
    assert_eq!(status, 200);
    let found: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(found["users"].as_array().unwrap().len(), 2);
    let of =
        |phone: &str| found["users"].as_array().unwrap().iter().find(|user| user["phone"] == phone).unwrap().clone();
    let with_password = of(E164);
    for (member, expected) in [
        ("phone_verified", json!(false)),
        ("has_password", json!(true)),
        ("mfa_enabled", json!(false)),
        ("sessions", json!(1)),
        ("wrong_sign_ins", json!(1)),
    ] {
        assert_eq!(with_password[member], expected, "{member}");
    }
    let without = of(&format!("+2{OTHER_PHONE}"));
    assert_eq!((&without["phone_verified"], &without["has_password"]), (&json!(true), &json!(false)));

    let (status, page) = users("text/html,application/xhtml+xml,application/json;q=0.9");
    assert_eq!(status, 200);
    assert!(page.contains(&format!("<b>{E164}</b>")) && page.contains(with_password["id"].as_str().unwrap()));
    let secrets =
        [&tokens["access_token"], &tokens["refresh_token"], &tokens["device_token"], &by_code["access_token"]];
    let codes = [&reset["otp"], &asked["otp"], &asked["challenge"], &reset["challenge"]];
    for text in [&body, &page] {
        let is_in = |secret: &&&Value| text.contains(secret.as_str().unwrap());
        assert_eq!(secrets.iter().chain(&codes).filter(is_in).count(), 0);
        assert!(!text.contains("$argon2") && !text.contains(PASSWORD));
    }
    assert_eq!(server.request("POST", "/dev/users", "", "").0, 405);
}

/// What is pasted is a secret of a second factor.
#[test]
fn the_page_of_qr_codes_sends_nothing_anywhere() {
    let (status, page) = Server::start(&["--memory"]).request("GET", "/dev/qr", "", "");
    assert_eq!(status, 200);
    for way in ["fetch", "XMLHttpRequest", "sendBeacon", "<form", "innerHTML", "://", "location"] {
        assert!(!page.contains(way), "{way}");
    }
}

#[test]
fn scripts_read_messages_as_json_and_ask_for_later_ones() {
    let server = Server::start(&["--memory"]);
    let messages = |query: &str| -> Value {
        let json = "Accept: application/json\r\n";
        serde_json::from_str(&server.request("GET", &format!("/dev/messages{query}"), json, "").1).unwrap()
    };
    assert_eq!(messages(""), json!({"total": 0, "messages": []}));
    server.post("/auth/register", &json!({"phone": PHONE, "password": PASSWORD}));
    let code = server.post("/auth/request-reset", &json!({"phone": PHONE})).1["otp"].as_str().unwrap().to_owned();
    let found = messages("");
    assert_eq!((&found["total"], &found["messages"][0]["to"]), (&json!(1), &json!(E164)));
    assert_eq!(found["messages"][0]["about"], "reset");
    assert!(found["messages"][0]["text"].as_str().unwrap().contains(&code));
    assert_eq!(messages("?after=1"), json!({"total": 1, "messages": []}));
}

/// A binary that was built is a whole system wherever it is run.
#[test]
fn outside_the_repository_the_server_has_the_template_that_it_was_built_with() {
    let elsewhere = tempdir().unwrap();
    let mut process = command(&["--port", "0"]);
    let mut process = process.current_dir(elsewhere.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let ready = lines.find(|line| line.as_ref().unwrap().starts_with("Latchkey is ready on "));
    let is_kept = elsewhere.path().join(".latchkey/secrets.json").is_file();
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(ready.is_some() && is_kept);
}

#[test]
fn help_names_every_option() {
    let output = command(&["--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for option in ["--port", "--host", "--memory", "--data", "--env", "--env-file", "--audit", "--help"] {
        assert!(help.contains(option), "{option}");
    }
}
