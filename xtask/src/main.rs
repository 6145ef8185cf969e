//! `cargo xtask`: chores of this repository.

mod endpoint;
mod route;

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use endpoint::Plan;
use route::Route;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

Commands:
  endpoint \"METHOD /auth/PATH\"    Writes a new endpoint: its function, its tests and its entry in every list
";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(text) => {
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cargo xtask: {}", error.trim_end());
            ExitCode::FAILURE
        }
    }
}

/// Runs a command; returns its output.
fn run(arguments: &[&str]) -> Result<String, String> {
    match arguments {
        [] | ["help" | "--help" | "-h"] => Ok(USAGE.to_owned()),
        ["endpoint", route] => write_endpoint(&root()?, route),
        ["endpoint", ..] => Err(format!("`endpoint` takes one route, in quotes\n\n{USAGE}")),
        [unknown, ..] => Err(format!("`{unknown}` is not a command\n\n{USAGE}")),
    }
}

/// Writes an endpoint; returns a report.
fn write_endpoint(root: &Path, route: &str) -> Result<String, String> {
    let refused = |why: &dyn std::fmt::Display| format!("{why}. Nothing was written.");
    let route: Route = route.parse().map_err(|error| refused(&error))?;
    let plan = Plan::new(root, &route).map_err(|error| refused(&error))?;
    plan.write(root).map_err(|error| error.to_string())?;
    Ok(plan.report())
}

/// Finds the workspace's folder: the current one, or one above it.
fn root() -> Result<PathBuf, String> {
    let here = env::current_dir().map_err(|error| error.to_string())?;
    let root = here.ancestors().find(|folder| folder.join("template.yaml").is_file());
    root.map(Path::to_owned).ok_or_else(|| format!("there is no template.yaml in {} or above it", here.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_arguments_it_says_how_it_is_used() {
        for arguments in [&[][..], &["--help"], &["help"]] {
            assert_eq!(run(arguments).unwrap(), USAGE);
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error_with_the_usage() {
        for (arguments, reason) in [
            (&["endpoints"][..], "`endpoints` is not a command"),
            (&["endpoint"], "`endpoint` takes one route"),
            (&["endpoint", "POST", "/auth/x"], "`endpoint` takes one route"),
        ] {
            let error = run(arguments).unwrap_err();
            assert!(error.starts_with(reason) && error.ends_with(USAGE), "{error}");
        }
    }

    #[test]
    fn a_refusal_says_that_nothing_was_written() {
        let folder = tempfile::tempdir().unwrap();
        for route in ["post /auth/x", "POST /auth/x"] {
            let error = write_endpoint(folder.path(), route).unwrap_err();
            assert!(error.ends_with(". Nothing was written."), "{error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
