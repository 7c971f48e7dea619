//! A process of the product that is killed, stopped and lost.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything takes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);
const KILLED: i32 = 9;

/// A process that is killed at the end.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts the program with exactly these variables, and its log in this folder.
    pub(crate) fn start(program: &Path, variables: &[(&str, String)], folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let log = folder.join("log");
        let file = File::create(&log).unwrap();
        let child = Command::new(program)
            // Neither the environment nor a file of whoever runs the tests may play a part.
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("AFTERCOMMIT_DATA_DIR", folder)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    /// Returns when it was killed by a signal that cannot be caught.
    pub(crate) async fn is_killed(&mut self) {
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.signal(), Some(KILLED), "{status:?}\n{}", self.log());
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it goes on:\n{}", self.log());
    }

    /// Returns when it has stopped in order.
    pub(crate) async fn has_stopped(&mut self) {
        let status = eventually("it stops in order", async || self.child.try_wait().unwrap()).await;
        assert_eq!(status.code(), Some(0), "{status:?}\n{}", self.log());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until it is so.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(asked.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A number that the environment may say, as the soak does.
#[expect(
    clippy::disallowed_methods,
    reason = "what a run is to count is no configuration of the platform"
)]
pub(crate) fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}
