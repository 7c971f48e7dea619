//! One server of the test's own: its process and its files, and what is done to them. Everything here blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::TemporalOptions;
use super::binary;
use crate::throw_away::ports::free_port;
use crate::throw_away::signals::{Pid, Signal, pid_of, signal};
use crate::throw_away::trouble::{Outcome, Trouble};
use crate::throw_away::watcher::{LAUNCH, Watcher};

/// How long a server may take to talk to clients or to end. It takes a second, and many on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long the program may take as a client.
const CLI_PATIENCE: Duration = Duration::from_secs(30);

/// How often it is asked meanwhile.
const GLANCE: Duration = Duration::from_millis(10);

/// How often a server is started anew when another takes its port at the same time.
const TRIES: usize = 5;

/// How often its one shard may look for what is to be done. At the usual 20 times a second, the first task of each workflow waits
/// 40 ms as soon as ten a second are started; a cluster has hundreds of shards.
const READS: &str = "history.transferProcessorMaxPollRPS=1000";

/// What it prints when it talks to clients.
const READY: &str = "Temporal Server:";

/// How many lines of a log are shown.
const LOG_TAIL: usize = 60;

#[derive(Debug)]
pub(super) struct Process {
    binary: PathBuf,
    directory: PathBuf,
    port: u16,
    options: TemporalOptions,
    server: Option<Child>,
    watcher: Watcher,
}

impl Process {
    /// Makes a directory and starts a server in it. `Ok`: it talks to clients.
    pub(super) fn start(options: &TemporalOptions) -> Outcome<Self> {
        let mut tried = 0;
        loop {
            let mut process = Self::prepare(options)?;
            tried += 1;
            match process.launch() {
                Ok(()) => return Ok(process),
                Err(_) if tried < TRIES && process.log().contains("already in use") => {}
                Err(trouble) => return Err(trouble),
            }
        }
    }

    fn prepare(options: &TemporalOptions) -> Outcome<Self> {
        let binary = binary::find()?;
        let directory = tempfile::Builder::new()
            .prefix("aftercommit-temporal-")
            .tempdir()
            .map_err(Trouble::while_doing("cannot make a directory for the server"))?;
        let watcher = Watcher::start(directory.path())
            .map_err(Trouble::while_doing("cannot start /bin/sh to watch over the server"))?;
        Ok(Self {
            binary,
            // From here on the watcher deletes it.
            directory: directory.keep(),
            port: free_port()?,
            options: options.clone(),
            server: None,
            watcher,
        })
    }

    /// Starts the process once and waits until it talks to clients.
    fn launch(&mut self) -> Outcome<()> {
        let heard = self.log().len();
        let mut server = self
            .command()?
            .spawn()
            .map_err(Trouble::while_doing("cannot start `temporal`"))?;
        let started = Instant::now();
        while !self.log().get(heard..).is_some_and(|log| log.contains(READY)) {
            if let Ok(Some(status)) = server.try_wait() {
                return Err(Trouble::new(format!(
                    "`temporal` ended at its start ({status}); it says:\n{}",
                    self.log_tail()
                )));
            }
            if started.elapsed() > PATIENCE {
                self.server = Some(server);
                return Err(Trouble::new(format!(
                    "`temporal` does not talk to clients after {} s; it says:\n{}",
                    PATIENCE.as_secs(),
                    self.log_tail()
                )));
            }
            sleep(GLANCE);
        }
        self.server = Some(server);
        Ok(())
    }

    fn command(&self) -> Outcome<Command> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join("server.log"))
            .map_err(Trouble::while_doing("cannot write the log of the server"))?;
        let port = self.port.to_string();
        let mut command = self.program("/bin/sh");
        command
            .args(["-c", LAUNCH, "sh"])
            .arg(self.directory.join("server.started"))
            // A word by which the watcher knows the process again.
            .arg(format!("--port {port}"))
            .arg(&self.binary)
            .args([
                "server",
                "start-dev",
                "--headless",
                "--ip",
                "127.0.0.1",
                "--port",
                &port,
            ])
            .args(["--log-level", "warn", "--dynamic-config-value", READS])
            .args(&self.options.arguments);
        if self.options.durable {
            command.arg("--db-filename").arg(self.directory.join("server.db"));
        }
        command
            .stdout(share(&log)?)
            .stderr(log)
            // An interrupt from the keyboard is for the tests.
            .process_group(0);
        Ok(command)
    }

    /// A program that knows nothing of what the person's own environment says of other servers.
    fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .env_clear()
            .env("HOME", &self.directory);
        command
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    fn log(&self) -> String {
        let log = fs::read(self.directory.join("server.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    pub(super) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
    }

    /// Runs the program as a client.
    pub(super) fn cli(&self, arguments: &[String]) -> Outcome<String> {
        let what = format!("`temporal {}`", arguments.join(" "));
        let mut said = tempfile::tempfile().map_err(Trouble::while_doing("cannot make a file for its output"))?;
        let mut client = self.program(&self.binary);
        client
            .args(arguments)
            .args(["--address", &self.address()])
            .stdout(share(&said)?)
            .stderr(share(&said)?);
        let mut client = client
            .spawn()
            .map_err(Trouble::while_doing(&format!("cannot start {what}")))?;
        let Some(status) = ends_within(&mut client, CLI_PATIENCE) else {
            // It may have ended meanwhile.
            let _killed = client.kill();
            let _ended = client.wait();
            return Err(Trouble::new(format!(
                "{what} has not ended within {} s",
                CLI_PATIENCE.as_secs()
            )));
        };
        let mut text = Vec::new();
        said.rewind()
            .and_then(|()| said.read_to_end(&mut text))
            .map_err(Trouble::while_doing("cannot read what `temporal` said"))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        if status.success() {
            Ok(text)
        } else {
            Err(Trouble::new(format!("{what} failed ({status}): {text}")))
        }
    }

    /// Ends its process at once, without a chance to do anything.
    pub(super) fn kill(&mut self) -> Outcome<()> {
        signal(self.running_pid()?, Signal::KILL);
        if let Some(mut server) = self.server.take() {
            let _status = server.wait();
        }
        Ok(())
    }

    pub(super) fn pause(&self) -> Outcome<()> {
        signal(self.running_pid()?, Signal::STOP);
        Ok(())
    }

    pub(super) fn resume(&self) -> Outcome<()> {
        signal(self.running_pid()?, Signal::CONT);
        Ok(())
    }

    pub(super) fn stop(&mut self) -> Outcome<()> {
        let pid = self.running_pid()?;
        signal(pid, Signal::CONT);
        signal(pid, Signal::TERM);
        let ended = self
            .server
            .as_mut()
            .and_then(|server| ends_within(server, PATIENCE))
            .is_some();
        if !ended {
            return Err(Trouble::new(format!(
                "`temporal` did not stop within {} s; it says:\n{}",
                PATIENCE.as_secs(),
                self.log_tail()
            )));
        }
        self.server = None;
        Ok(())
    }

    /// Starts it on the same port, with the same data if it keeps any.
    pub(super) fn start_again(&mut self) -> Outcome<()> {
        if self.server.is_some() {
            return Err(Trouble::new(
                "the server runs: stop or kill it before it is started again",
            ));
        }
        self.launch()
    }

    fn running_pid(&self) -> Outcome<Pid> {
        self.server
            .as_ref()
            .and_then(pid_of)
            .ok_or_else(|| Trouble::new("the server is not running"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // What it keeps is deleted, so there is nothing to stop in order for. Each fails when it has ended.
            let _killed = server.kill();
            let _ended = server.wait();
        }
        self.watcher.end();
    }
}

/// Waits until a program has ended. `None`: it has not.
fn ends_within(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let asked = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if asked.elapsed() > patience {
            return None;
        }
        sleep(GLANCE);
    }
}

fn share(file: &File) -> Outcome<File> {
    file.try_clone()
        .map_err(Trouble::while_doing("cannot share a file with a program"))
}
