//! A data directory of a test's own, and the program on it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A data directory of its own, and the program that uses it.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.0.path().join("data")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aftercommit"));
        command
            .args(arguments)
            // Neither the environment nor a file of whoever runs the tests may play a part.
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"))
            .current_dir(self.0.path())
            .env("AFTERCOMMIT_DATA_DIR", self.data())
            .env("HTTP_ADDR", "127.0.0.1:0")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// The first dead letter, as soon as there is one.
    pub(crate) fn wait_for_dead_letter(&self) -> Value {
        let started = Instant::now();
        while started.elapsed() < Duration::from_mins(1) {
            let list = json(&self.run(&["dead-letters", "list", "--json"]));
            if let Some(first) = list["dead_letters"].as_array().unwrap().first() {
                return first.clone();
            }
        }
        panic!("no dead letter within a minute");
    }

    /// Starts a process and waits for its first screen.
    pub(crate) fn start(&self) -> Running {
        let mut child = self
            .command(&[])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut screen = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        while !screen.contains("Stop with Ctrl-C") {
            assert_ne!(out.read_line(&mut screen).unwrap(), 0, "it ended early: {screen}");
        }
        Running { child, screen }
    }
}

pub(crate) struct Running {
    child: Child,
    pub(crate) screen: String,
}

impl Running {
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The answer of a command that must succeed.
pub(crate) fn json(output: &Output) -> Value {
    assert_eq!(status(output), 0, "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Standard error of a command that must fail with `code` and print nothing else.
pub(crate) fn failure(output: &Output, code: i32) -> &str {
    assert_eq!(status(output), code, "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
    text(&output.stderr)
}
