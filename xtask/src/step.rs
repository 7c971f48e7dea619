//! One command of a check or a test: announced, run, timed.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::tally::Tally;

/// What cargo tells a program it runs about its package. Handed on to another cargo they change what the build script of a
/// dependency (ring) has seen, so that half of everything is built again.
const OF_THE_PACKAGE: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// What stops a whole run. What fails in a step is not an error but a failed step.
pub(crate) type Problem = Box<dyn Error + Send + Sync>;

/// A command with the name people know it by.
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) command: Command,
}

impl Step {
    /// `cargo` with these arguments.
    pub(crate) fn cargo<'a>(name: impl Into<String>, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = cargo();
        command.args(arguments).stdin(Stdio::null());
        Self {
            name: name.into(),
            command,
        }
    }

    /// The same with more arguments.
    pub(crate) fn arguments(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// The same with an environment variable.
    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Runs it with its output on the screen. `Ok(true)`: it succeeded. `Err`: it could not even be started.
    pub(crate) fn run(mut self) -> Result<bool, Problem> {
        heading(&self.name);
        let started = Instant::now();
        let status = self
            .command
            .status()
            .map_err(|error| format!("{}: cannot start the command: {error}", self.name))?;
        let verdict = if status.success() { "ok" } else { "FAILED" };
        println!("   {verdict}: {} ({:.1} s)", self.name, started.elapsed().as_secs_f64());
        Ok(status.success())
    }

    /// Runs it, a `cargo test`, shows its output while it runs, and counts.
    pub(crate) fn run_tests(self) -> Result<Tally, Problem> {
        self.run_tests_heard_by(|_| {})
    }

    /// The same, and tells each line of output.
    pub(crate) fn run_tests_heard_by(mut self, mut hear: impl FnMut(&str)) -> Result<Tally, Problem> {
        heading(&self.name);
        let mut child = self.command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("cargo test has no output to read")?;
        let mut tally = Tally::default();
        // A test may print anything, so the output is read as bytes.
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            tally.read(&line);
            hear(&line);
        }
        let status = child.wait()?;
        if !status.success() && tally.failed == 0 {
            let what = format!("`{}` did not build or was interrupted ({status})", self.name);
            tally = tally.and(Tally::failure(what));
        }
        Ok(tally)
    }
}

/// `cargo`, as if somebody had typed it.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    for name in OF_THE_PACKAGE {
        command.env_remove(name);
    }
    command
}

/// Announces what comes next.
pub(crate) fn heading(name: &str) {
    println!("\n== {name}");
}
