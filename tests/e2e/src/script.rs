//! The programs of `examples/interop`, which know Aftercommit only by what is on the broker.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::Value;

use crate::{PATIENCE, eventually};

/// Names a copy of `examples/interop` in which everything is installed as its README tells.
const FOLDER: &str = "AFTERCOMMIT_E2E_INTEROP";

/// The language of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// With pika.
    Python,
    /// With amqplib.
    Node,
}

/// A program that runs until this is dropped.
#[derive(Debug)]
pub struct Script {
    child: Child,
    output: Receiver<String>,
    complaints: Receiver<String>,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Python, Self::Node];

    /// Publishes a task, and answers its id as the program prints it.
    pub async fn publish_task(self, amqp_url: &str, topic: &str, task: &str, payload: &Value) -> String {
        self.output(amqp_url, "publish_task", &[topic, task, &payload.to_string()])
            .await
            .unwrap()
            .trim()
            .to_owned()
    }

    /// What a program prints, or what it complains of when it fails.
    ///
    /// # Errors
    /// It failed.
    pub async fn output(self, amqp_url: &str, program: &str, arguments: &[&str]) -> Result<String, String> {
        ended(self.command(amqp_url, &[&[&*self.file(program)], arguments].concat())).await
    }

    /// What a few lines in this language print that use the modules of the programs.
    ///
    /// # Errors
    /// They failed.
    pub async fn evaluate(self, amqp_url: &str, lines: &str) -> Result<String, String> {
        let arguments: &[&str] = match self {
            Self::Python => &["-c", lines],
            Self::Node => &["--input-type=module", "--eval", lines],
        };
        ended(self.command(amqp_url, arguments)).await
    }

    /// Starts a program, and waits until it says that it is ready.
    pub async fn start(self, amqp_url: &str, program: &str, arguments: &[&str]) -> Script {
        let mut command = self.command(amqp_url, &[&[&*self.file(program)], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let script = Script {
            output: lines(child.stdout.take().unwrap()),
            complaints: lines(child.stderr.take().unwrap()),
            child,
        };
        let ready = script.next_complaint().await;
        assert!(
            ready.starts_with("listening for ") || ready.starts_with("waiting for "),
            "{ready}"
        );
        script
    }

    /// The file of a program, named as is usual in its language.
    fn file(self, program: &str) -> String {
        match self {
            Self::Python => format!("{program}.py"),
            Self::Node => format!("{}.js", program.replace('_', "-")),
        }
    }

    fn command(self, amqp_url: &str, arguments: &[&str]) -> Command {
        let folder = folder();
        let (folder, interpreter) = match self {
            Self::Python => (folder.join("python"), folder.join("python/.venv/bin/python")),
            Self::Node => (folder.join("node"), PathBuf::from("node")),
        };
        assert!(folder.is_dir(), "{FOLDER} is wrong: there is no {}", folder.display());
        let mut command = Command::new(interpreter);
        command
            .args(arguments)
            .env("AMQP_URL", amqp_url)
            .current_dir(folder)
            .stdin(Stdio::null());
        command
    }
}

impl Script {
    /// The next line it prints, which must be JSON.
    pub async fn next(&self) -> Value {
        let line = eventually("a line of output", PATIENCE, async || self.output.try_recv().ok()).await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The next line it writes to standard error.
    pub async fn next_complaint(&self) -> String {
        eventually("a line on standard error", PATIENCE, async || {
            self.complaints.try_recv().ok()
        })
        .await
    }

    /// Its exit status, once it ends by itself.
    pub async fn ended(&mut self) -> Option<i32> {
        let child = &mut self.child;
        let status = eventually("it has ended", PATIENCE, async || child.try_wait().unwrap()).await;
        status.code()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder() -> PathBuf {
    #[expect(
        clippy::disallowed_methods,
        reason = "where programs are is no configuration of the platform"
    )]
    let folder = std::env::var_os(FOLDER);
    let folder = folder.unwrap_or_else(|| panic!("{FOLDER} is not set; `cargo xtask test --pass interop` sets it"));
    Path::new(&folder).to_owned()
}

async fn ended(command: Command) -> Result<String, String> {
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}
