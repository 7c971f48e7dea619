//! A running process of a program, on a data directory of its own.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Api, Program, Setup, eventually};

/// How long a start may take, also after a kill.
const START: Duration = Duration::from_mins(1);
/// How long it may take until a process has stopped, or has come to the point at which it dies: on a busy machine that is long.
const STOP: Duration = Duration::from_mins(2);
/// How long a command may take on a machine that is busy with other tests; the longest is a short demonstration.
const COMMAND: Duration = Duration::from_mins(2);
/// `SIGKILL` on every Unix.
const KILLED: i32 = 9;
/// How much of the log a failed test shows.
const LAST_LINES: usize = 40;

/// A process of the program. It is ended when this is dropped, and its files are removed.
#[derive(Debug)]
pub struct Product {
    program: Program,
    place: TempDir,
    setup: Setup,
    running: Option<Running>,
    starts: u32,
    /// Why the process was not ready when it was asked last.
    unready: String,
}

#[derive(Debug)]
struct Running {
    child: Child,
    url: String,
    token: String,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub struct Stopped {
    /// Its exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// How long it took from the signal on.
    pub took: Duration,
}

impl Product {
    /// Starts a process on a new data directory, and waits until it is ready.
    pub async fn start(setup: Setup) -> Self {
        Self::start_program(Program::Everything, setup).await
    }

    /// The same of a program that may do less than everything.
    pub async fn start_program(program: Program, setup: Setup) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("logs")).unwrap();
        let mut product = Self {
            program,
            place,
            setup,
            running: None,
            starts: 0,
            unready: String::new(),
        };
        product.start_again().await;
        product
    }

    /// Starts a process on the same data directory after the last one has ended, and waits until it is ready.
    ///
    /// # Panics
    /// It ends before that.
    pub async fn start_again(&mut self) {
        if let Some(status) = self.try_to_start_again().await {
            panic!("the process ended at its start: {status}");
        }
    }

    /// The same of a process that may die at once; answers how, if it does.
    pub async fn try_to_start_again(&mut self) -> Option<ExitStatus> {
        self.spawn();
        if self.ready_or_ended().await {
            None
        } else {
            self.has_ended()
        }
    }

    /// How the process has ended, if it has, so that another one can be started.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        let status = self.running.as_mut()?.child.try_wait().unwrap()?;
        self.running = None;
        Some(status)
    }

    /// Starts a process as [`start_again`](Self::start_again) does, without waiting for anything: it may end before it is
    /// ready.
    pub fn spawn(&mut self) {
        assert!(self.running.is_none(), "a process runs already");
        self.starts += 1;
        let log = File::create(self.logs().join(format!("{}.log", self.starts))).unwrap();
        let child = self
            .command(self.program, &[])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        // Owned from here on, so that it is ended whatever happens next.
        self.running = Some(Running {
            child,
            url: String::new(),
            token: String::new(),
        });
    }

    /// Waits until the process is ready, or has ended. Answers whether it is ready.
    pub async fn ready_or_ended(&mut self) -> bool {
        let running = self.running.as_mut().unwrap();
        let pid = running.child.id();
        let run_file = self.place.path().join("data/run.json");
        let client = Api::new("");
        let content = eventually("the process is ready", START, async || {
            if running.child.try_wait().unwrap().is_some() {
                return Some(None);
            }
            // One that was left behind by a killed process names another one.
            let content: Value = serde_json::from_str(&fs::read_to_string(&run_file).ok()?).ok()?;
            let url = content["url"].as_str().filter(|_| content["pid"] == pid)?;
            let answer = client.at(url).try_get("/ready").await.ok()?;
            if answer.status != 200 {
                self.unready = answer.body;
                return None;
            }
            Some(Some(content))
        })
        .await;
        self.unready.clear();
        let Some(content) = content else { return false };
        content["url"].as_str().unwrap().clone_into(&mut running.url);
        content["token"].as_str().unwrap().clone_into(&mut running.token);
        true
    }

    /// Ends the process with SIGTERM, and starts another one on the same data directory.
    pub async fn restart(&mut self) {
        self.terminate().await;
        self.start_again().await;
    }

    /// Changes the environment of the next start.
    pub fn set_up(&mut self, setup: Setup) {
        self.setup = setup;
    }

    /// Its HTTP interface, without a key.
    pub fn api(&self) -> Api {
        Api::new(&self.running().url)
    }

    /// The operator's HTTP interface, with its token: `admin().get("/admin/v1/outbox")`.
    pub fn admin(&self) -> Api {
        self.api().with_key(&self.running().token)
    }

    /// Which program it is.
    pub const fn program(&self) -> Program {
        self.program
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.running().child.id()
    }

    /// What a command of the command line answers, with the environment of the process.
    pub async fn cli(&self, arguments: &[&str]) -> Output {
        tokio::time::timeout(COMMAND, self.cli_command(arguments).output())
            .await
            .unwrap()
            .unwrap()
    }

    /// A command of the command line with the environment of the process, to be started by the test.
    pub fn cli_command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::from(self.command(self.program.command_line(), arguments));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// The JSON document that a command prints with `--json`.
    pub async fn cli_json(&self, arguments: &[&str]) -> Value {
        let output = self.cli(&[arguments, &["--json"]].concat()).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Kills the process where it stands, as a power cut of its own would.
    pub fn kill9(&mut self) {
        let mut running = self.running.take().unwrap();
        running.child.kill().unwrap();
        let status = running.child.wait().unwrap();
        assert_eq!(status.signal(), Some(KILLED), "it had ended by itself: {status}");
    }

    /// Sends SIGTERM.
    pub fn signal_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops the process where it stands.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.running().child), signal).unwrap();
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(&mut self) -> Stopped {
        self.signal_to_stop();
        self.ended().await
    }

    /// Waits for the end of a process that was told to stop.
    pub async fn ended(&mut self) -> Stopped {
        let told = Instant::now();
        let running = self.running.as_mut().unwrap();
        let status = eventually("the process has ended", STOP, async || {
            running.child.try_wait().unwrap()
        })
        .await;
        self.running = None;
        Stopped {
            code: status.code(),
            signal: status.signal(),
            took: told.elapsed(),
        }
    }

    /// The folder it runs in.
    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// The folder with one log for each process that ran.
    pub fn logs(&self) -> PathBuf {
        self.place.path().join("logs")
    }

    /// Everything that every process has printed.
    pub fn log(&self) -> String {
        (1..=self.starts)
            .map(|start| fs::read_to_string(self.logs().join(format!("{start}.log"))).unwrap())
            .collect()
    }

    /// What the last process has printed.
    pub fn last_log(&self) -> String {
        fs::read_to_string(self.logs().join(format!("{}.log", self.starts))).unwrap()
    }

    /// The `.eml` files, in no order.
    pub fn mail_files(&self) -> Vec<String> {
        let folder = fs::read_dir(self.data().join("mail")).unwrap();
        let paths = folder.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    fn command(&self, program: Program, arguments: &[&str]) -> Command {
        let mut command = Command::new(program.binary());
        command
            .args(arguments)
            .env_clear()
            .envs(self.setup.environment(&self.data()))
            // What measures the coverage of tests by this name.
            .envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"))
            .current_dir(self.place.path())
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // It may have ended by itself.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        if std::thread::panicking() {
            if !self.unready.is_empty() {
                eprintln!("the process was not ready: {}", self.unready);
            }
            show_end(&self.logs().join(format!("{}.log", self.starts)));
        }
    }
}

fn show_end(log: &Path) {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    eprintln!(
        "the end of the process's log:\n{}",
        lines.get(from..).unwrap_or_default().join("\n")
    );
}
