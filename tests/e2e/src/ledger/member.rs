//! One place of the fleet: a process, and after its death the next one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

/// Which loops a process runs, beside those that free what others lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loops {
    /// The relay, by the shorter way where there is one.
    Relay,
    /// The relay that publishes and marks one after the other.
    StepwiseRelay,
    /// The dispatcher.
    Dispatcher,
    /// The handlers of the topics.
    Topics,
    /// The dispatcher and the handlers.
    Handlers,
    /// All of them.
    All,
}

impl Loops {
    pub(crate) const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Relay => &["--relay"],
            Self::StepwiseRelay => &["--relay", "--stepwise"],
            Self::Dispatcher => &["--dispatcher"],
            Self::Topics => &["--topics"],
            Self::Handlers => &["--dispatcher", "--topics"],
            Self::All => &["--relay", "--dispatcher", "--topics"],
        }
    }
}

/// One process after the other with the same name and arguments.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
    /// It was killed on purpose.
    is_killed: bool,
    /// When the next one starts, after a death.
    next_at: Instant,
    pub(crate) is_finished: bool,
    /// Ends by itself when it has done its part.
    is_finite: bool,
    /// Starts that the missing server prevented.
    pub(crate) refused_starts: u32,
}

impl Member {
    pub(crate) fn new(
        name: &str,
        program: PathBuf,
        arguments: Vec<String>,
        variables: Vec<(String, String)>,
        is_finite: bool,
        logs: &Path,
    ) -> Self {
        Self {
            name: name.to_owned(),
            program,
            arguments,
            variables,
            log: logs.join(format!("{name}.log")),
            child: None,
            is_killed: false,
            next_at: Instant::now(),
            is_finished: false,
            is_finite,
            refused_starts: 0,
        }
    }

    /// Starts the next process when it is time for it, and notes how the last one ended.
    ///
    /// # Panics
    /// It ended by itself while it worked, which no fault of its server is a reason for.
    pub(crate) fn tend(&mut self, start: impl FnOnce() -> Command) {
        if let Some(child) = &mut self.child {
            let Some(status) = child.try_wait().unwrap() else {
                return;
            };
            self.child = None;
            if self.is_finite && status.success() {
                self.is_finished = true;
                return;
            }
            if !self.is_killed {
                let log = fs::read_to_string(&self.log).unwrap();
                let last = log.rsplit("started\n").next().unwrap();
                assert!(
                    !last.contains("ready"),
                    "{} ended by itself, {status}:\n{last}",
                    self.name
                );
                self.refused_starts += 1;
            }
        }
        if !self.is_finished && Instant::now() >= self.next_at {
            use std::io::Write as _;
            let mut log = File::options().create(true).append(true).open(&self.log).unwrap();
            log.write_all(b"started\n").unwrap();
            let mut command = start();
            command
                .args(&self.arguments)
                .envs(self.variables.iter().cloned())
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log);
            self.child = Some(command.spawn().unwrap());
            self.is_killed = false;
        }
    }

    /// Whether its process has opened the database, or has done all it had to do.
    pub(crate) fn is_ready(&self) -> bool {
        let runs = self.child.is_some()
            && fs::read_to_string(&self.log).is_ok_and(|log| log.rsplit("started\n").next().unwrap().contains("ready"));
        runs || self.is_finished
    }

    pub(crate) fn kill9(&mut self, next_at: Instant) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            self.is_killed = true;
        }
        self.next_at = next_at;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            kill_process(Pid::from_child(child), signal).unwrap();
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// How it ended after it was told to; `None` while it runs.
    pub(crate) fn try_ended(&mut self) -> Option<bool> {
        let Some(child) = &mut self.child else {
            return Some(true);
        };
        let status = child.try_wait().unwrap()?;
        self.child = None;
        Some(status.success())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may be stopped, or have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
