//! A server under load: a process of its own that says where it listens.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{Failure, lab::root, sandbox::memory_mib};

/// What stands in front of the address, in the line that says that a program is ready.
const READY: &str = " is ready on http://";

/// A server that runs until this value is dropped.
pub(crate) struct Program {
    process: Child,
    /// The host and the port where it listens.
    pub(crate) host: String,
}

impl Program {
    /// Starts a command, and waits until it prints that it is ready, and where. `name` says in errors what did not start.
    pub(crate) fn start(command: &mut Command, name: &str) -> Result<Self, Failure> {
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let process = process.map_err(|error| format!("{name} cannot be run: {error}"))?;
        // From here on, the process ends with the value, also if it never gets ready.
        let mut program = Self { process, host: String::new() };
        let output = program.process.stdout.take().ok_or("the program has no output")?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let host = lines.find_map(|line| Some(line.split_once(READY)?.1.to_owned()));
        program.host = host.ok_or_else(|| format!("{name} did not start"))?;
        // What it prints later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(program)
    }

    /// Starts a dev server that keeps its data in a folder, with limits that no measurement reaches, and with more
    /// variables (`NAME=VALUE`).
    pub(crate) fn dev_server(binary: &Path, data: &Path, variables: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new(binary);
        command.current_dir(root()).args(["--port", "0", "--data"]).arg(data);
        for variable in ["LOGIN_PER_ADDRESS", "REGISTER_PER_ADDRESS", "MESSAGES_PER_PHONE", "MESSAGES_PER_ADDRESS"] {
            command.args(["--env", &format!("LIMIT_{variable}=1000000")]);
        }
        command.args(["--env", "OTP_EXPOSE=true"]);
        for variable in variables {
            command.args(["--env", variable]);
        }
        Self::start(&mut command, &format!("{} (cargo build -p local builds it)", binary.display()))
    }

    /// Returns the CPU time of the process since its start, in ms, to 10 ms. Threads that have ended are in it.
    pub(crate) fn cpu_ms(&self) -> Result<f64, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/PID/stat has another form")?;
        // utime and stime, the 14th and 15th of all, in hundredths of a second on every Linux.
        let ticks: Vec<f64> = fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        Ok(ticks.iter().sum::<f64>() * 10.0)
    }

    /// Returns the memory that is resident now, in MiB.
    pub(crate) fn memory_mib(&self) -> Result<f64, Failure> {
        memory_mib(self.process.id(), "status", "VmRSS")
    }
}

impl Program {
    /// Ends the process.
    pub(crate) fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}
