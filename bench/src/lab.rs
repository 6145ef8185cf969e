//! What functions are measured in: the dev server, an account, the variables of template.yaml, and the events.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    Failure,
    program::Program,
    sandbox::Sandbox,
    services::{Request, Services, scratch},
};

/// The issuer of the tokens: the address in the events.
const ISSUER: &str = "https://latchkey.execute-api.eu-west-1.amazonaws.com";

/// Events that no client sends.
const EVENTS_OF_OPERATORS: [&str; 4] = ["rotate-keys", "rotate-secret", "send-notices", "unmatched"];

/// The library that slows a function's clock down.
const SLOW_CLOCK: &str = "slow_clock.so";

/// Returns the repository's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// Returns the folder of what cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// An event that is sent to a function, as `events/answers.json` orders them.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The function.
    pub(crate) function: String,
    /// The event, with live tokens.
    pub(crate) event: String,
}

/// What is started to be measured.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// What its row is called.
    pub(crate) name: String,
    /// The binary.
    pub(crate) binary: PathBuf,
    /// Its environment.
    pub(crate) variables: Vec<(String, String)>,
    /// The event that it is sent.
    pub(crate) event: String,
}

impl Subject {
    /// Returns the command that runs it.
    pub(crate) fn command(&self) -> Vec<String> {
        vec![self.binary.display().to_string()]
    }

    /// Starts it and sends it its event once. Returns the answer.
    pub(crate) fn run_once(&self) -> Result<String, Failure> {
        let mut sandbox = Sandbox::start(&self.command(), &self.variables)?;
        sandbox.ready()?;
        Ok(sandbox.invoke(&self.event)?.0)
    }
}

/// The laboratory.
pub(crate) struct Lab {
    server: Program,
    folder: PathBuf,
    /// The mock of AWS.
    pub(crate) services: Services,
    variables: BTreeMap<String, String>,
    functions: BTreeMap<String, Vec<String>>,
    /// What was kept of answers, by the placeholder that it takes the place of.
    kept: Vec<(String, String)>,
}

impl Lab {
    /// Starts the dev server and the mock.
    pub(crate) fn start() -> Result<Self, Failure> {
        let folder = scratch();
        fs::create_dir_all(&folder)?;
        let binary = std::env::var_os("BENCH_DEV_SERVER").map_or_else(|| target().join("debug/local"), PathBuf::from);
        let data = folder.join("data");
        let server = Program::dev_server(&binary, &data, &[&format!("JWT_ISSUER={ISSUER}")])?;
        let services = Services::start(&server.host, &folder)?;
        make_slow_clock(&folder)?;
        let variables = fs::read_to_string(data.join("lambda.env"))?;
        let variables = variables.lines().filter_map(|line| line.split_once('='));
        let variables = variables.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect();
        Ok(Self { server, folder, services, variables, functions: functions()?, kept: Vec::new() })
    }

    /// Returns a function with the event of a step. Its binary is a copy that trusts the mock.
    pub(crate) fn subject(&self, step: &Step, binaries: &Path) -> Result<Subject, Failure> {
        let (name, binary) = (step.function.clone(), self.folder.join(&step.function));
        self.services.copy_that_trusts(&binaries.join(&name), &binary)?;
        let variables = self.variables_of(&name)?;
        Ok(Subject { name, binary, variables, event: step.event.clone() })
    }

    /// Returns the variables that a function has on Lambda, with the mock's addresses.
    fn variables_of(&self, function: &str) -> Result<Vec<(String, String)>, Failure> {
        let names = self.functions.get(function).ok_or_else(|| format!("template.yaml has no {function}"))?;
        let of_template = names.iter().filter_map(|name| Some((name.clone(), self.variables.get(name)?.clone())));
        let mut variables: Vec<_> = of_template.collect();
        let access_key = self.variables.get("AWS_ACCESS_KEY_ID").cloned().unwrap_or_default();
        variables.extend(
            [
                ("AWS_REGION", "eu-west-1"),
                ("AWS_ACCESS_KEY_ID", access_key.as_str()),
                ("AWS_SECRET_ACCESS_KEY", "a-secret-key-of-the-length-that-lambda-gives"),
                ("AWS_SESSION_TOKEN", &"x".repeat(700)),
                ("AWS_ENDPOINT_URL_DYNAMODB", self.services.dynamodb.as_str()),
                ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.services.secrets.as_str()),
                ("RUST_LOG", "info"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        Ok(variables)
    }

    /// Returns a function that is not ours, with the event and the variables of a step. It is told in a file whom to trust:
    /// the mock, and beside it `trusted`.
    pub(crate) fn stranger(&self, step: &Step, original: &Path, trusted: &Path) -> Result<Subject, Failure> {
        let name = original.file_name().ok_or("the binary has no name")?.to_string_lossy().into_owned();
        let (binary, roots) = (self.folder.join(&name), self.folder.join(format!("{name}.pem")));
        fs::copy(original, &binary)?;
        let of_mock = fs::read_to_string(Services::root_of(&self.folder))?;
        fs::write(&roots, fs::read_to_string(trusted)? + &of_mock)?;
        let mut variables = self.variables_of(&step.function)?;
        variables.push(("SSL_CERT_FILE".to_owned(), roots.display().to_string()));
        Ok(Subject { name, binary, variables, event: step.event.clone() })
    }

    /// Lets each answer its event once by the dev server, so that all later answers to its calls come from memory. Returns
    /// the answers.
    pub(crate) fn learn(&self, subjects: &[Subject]) -> Result<Vec<String>, Failure> {
        self.services.record();
        let answers = subjects.iter().map(Subject::run_once).collect();
        self.services.replay();
        answers
    }

    /// Returns a subject's variables, and the one that slows its clock down.
    pub(crate) fn without_haste(&self, subject: &Subject) -> Vec<(String, String)> {
        let mut variables = subject.variables.clone();
        variables.push(("LD_PRELOAD".to_owned(), self.folder.join(SLOW_CLOCK).display().to_string()));
        variables
    }

    /// Returns every event with its function, in the order of `events/answers.json`.
    pub(crate) fn steps() -> Result<Vec<Value>, Failure> {
        let answers = fs::read_to_string(root().join("events/answers.json"))?;
        let answers: Vec<Value> = serde_json::from_str(&answers)?;
        Ok(answers
            .into_iter()
            .filter(|step| !EVENTS_OF_OPERATORS.contains(&step["event"].as_str().unwrap_or_default()))
            .collect())
    }

    /// Returns the names of the functions that have an event, each once.
    pub(crate) fn functions() -> Result<Vec<String>, Failure> {
        let names = Self::steps()?.into_iter().filter_map(|step| Some(step["event"].as_str()?.to_owned()));
        Ok(names.collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// Returns the event of a step, with what earlier answers gave.
    pub(crate) fn step(&self, step: &Value) -> Result<Step, Failure> {
        let function = step["event"].as_str().ok_or("a step has no event")?.to_owned();
        let event = fs::read_to_string(root().join(format!("events/{function}.json")))?;
        let put = step["put"].as_object().into_iter().flatten();
        let event = put.fold(event, |event, (old, new)| event.replace(old, new.as_str().unwrap_or_default()));
        let event = self.kept.iter().fold(event, |event, (placeholder, value)| event.replace(placeholder, value));
        Ok(Step { function, event })
    }

    /// Checks the status of an answer, and keeps what later events need of it.
    pub(crate) fn keep(&mut self, step: &Value, answer: &str) -> Result<(), Failure> {
        let answer: Value = serde_json::from_str(answer)?;
        let status = &answer["statusCode"];
        if !step["status"].is_null() && *status != step["status"] {
            return Err(format!("{} answered {status}: {}", step["event"], answer["body"]).into());
        }
        let body: Value = answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        for (placeholder, pointer) in step["keep"].as_object().into_iter().flatten() {
            let value = pointer.as_str().and_then(|pointer| body.pointer(pointer)?.as_str());
            let value = value.ok_or_else(|| format!("{} has no {pointer} in its answer", step["event"]))?.to_owned();
            self.kept.retain(|(known, _)| known != placeholder);
            self.kept.push((placeholder.clone(), value));
        }
        Ok(())
    }

    /// Takes every step in its order: by `measure` if its function is one of `names` and is there for the first time,
    /// otherwise by the dev server. `measure` returns the function's answer.
    pub(crate) fn walk(
        &mut self,
        names: &[String],
        mut measure: impl FnMut(&mut Self, &Step) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        let mut left = names.to_vec();
        for step in Self::steps()? {
            if left.is_empty() {
                break;
            }
            let of = self.step(&step)?;
            if of.function == "code-resend" {
                self.wait_for_cooldown();
            }
            if let Some(place) = left.iter().position(|name| *name == of.function) {
                left.remove(place);
                let answer = measure(self, &of)?;
                self.keep(&step, &answer)?;
            } else if step["status"].is_u64() {
                // The authorizer has no address there.
                self.send(&step)?;
            }
        }
        if left.is_empty() { Ok(()) } else { Err(format!("no event in events/ measures {}", left.join(", ")).into()) }
    }

    /// Waits until the phone may be sent the next code, by the clock that functions read.
    fn wait_for_cooldown(&self) {
        let seconds = self.variables.get("OTP_RESEND_COOLDOWN").and_then(|seconds| seconds.parse().ok()).unwrap_or(1);
        std::thread::sleep(Duration::from_secs(seconds) + Duration::from_millis(100));
    }

    /// Sends the event of a step to the dev server, and keeps what later events need of its answer.
    pub(crate) fn send(&mut self, step: &Value) -> Result<(), Failure> {
        let event: Value = serde_json::from_str(&self.step(step)?.event)?;
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let request = Request {
            method: text("/requestContext/http/method"),
            path: text("/rawPath"),
            headers: &[
                ("authorization", text("/headers/authorization")),
                ("content-type", text("/headers/content-type")),
            ],
            body: text("/body"),
        };
        let (status, body) = request.send(&self.server.host)?;
        let answer = json!({"statusCode": status, "body": String::from_utf8_lossy(&body)});
        self.keep(step, &answer.to_string())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.server.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Compiles what slows a function's clock down.
fn make_slow_clock(folder: &Path) -> Result<(), Failure> {
    let source = folder.join("slow_clock.c");
    fs::write(&source, include_str!("slow_clock.c"))?;
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-fPIC", "-shared", "-nostdlib", "-o"]).arg(folder.join(SLOW_CLOCK)).arg(&source);
    let output = compiler.output().map_err(|error| format!("cc: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

/// Returns the variables that template.yaml gives each function, by the name of its binary.
fn functions() -> Result<BTreeMap<String, Vec<String>>, Failure> {
    use serde_norway::Value;
    let template: Value = serde_norway::from_str(&fs::read_to_string(root().join("template.yaml"))?)?;
    let names = |value: &Value| -> Vec<String> {
        let variables = &value["Environment"]["Variables"];
        let names = variables.as_mapping().into_iter().flat_map(|variables| variables.keys());
        names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let of_all = names(&template["Globals"]["Function"]);
    let resources = template["Resources"].as_mapping().ok_or("template.yaml has no resources")?;
    let functions = resources.values().filter_map(|resource| {
        let name = resource["Metadata"]["BuildProperties"]["Binary"].as_str()?.to_owned();
        Some((name, [of_all.clone(), names(&resource["Properties"])].concat()))
    });
    Ok(functions.collect())
}

/// Returns the memory that template.yaml gives each function, in MB, by the name of its binary.
pub(crate) fn memory_sizes() -> Result<BTreeMap<String, f64>, Failure> {
    use serde_norway::Value;
    let template: Value = serde_norway::from_str(&fs::read_to_string(root().join("template.yaml"))?)?;
    let of_all = template["Globals"]["Function"]["MemorySize"].as_f64().ok_or("template.yaml gives no memory")?;
    let resources = template["Resources"].as_mapping().ok_or("template.yaml has no resources")?;
    let sizes = resources.values().filter_map(|resource| {
        let name = resource["Metadata"]["BuildProperties"]["Binary"].as_str()?.to_owned();
        Some((name, resource["Properties"]["MemorySize"].as_f64().unwrap_or(of_all)))
    });
    Ok(sizes.collect())
}
