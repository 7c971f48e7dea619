//! The process of one server, and what clears up after it. Everything here blocks.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::binary;
use crate::throw_away::ports::free_port;
use crate::throw_away::trouble::{Outcome, Trouble};
use crate::throw_away::watcher::{LAUNCH, Watcher};

/// How long a server may take to talk to clients. It takes a second, and many on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often it is asked meanwhile.
const GLANCE: Duration = Duration::from_millis(10);

/// How often a server is started anew when another takes its port at the same time.
const TRIES: usize = 5;

/// What it prints when it talks to clients.
const READY: &str = "Running on http://";

#[derive(Debug)]
pub(super) struct Process {
    directory: PathBuf,
    port: u16,
    server: Option<Child>,
    watcher: Watcher,
}

impl Process {
    /// Starts a server in a directory of its own. `Ok`: it talks to clients.
    pub(super) fn start() -> Outcome<Self> {
        let mut tried = 0;
        loop {
            let mut process = Self::prepare()?;
            tried += 1;
            match process.launch() {
                Ok(()) => return Ok(process),
                Err(_) if tried < TRIES && process.log().contains("already in use") => {}
                Err(trouble) => return Err(trouble),
            }
        }
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn prepare() -> Outcome<Self> {
        let directory = tempfile::Builder::new()
            .prefix("aftercommit-s3-")
            .tempdir()
            .map_err(Trouble::while_doing("cannot make a directory for the server"))?;
        let watcher = Watcher::start(directory.path())
            .map_err(Trouble::while_doing("cannot start /bin/sh to watch over the server"))?;
        Ok(Self {
            // From here on the watcher deletes it.
            directory: directory.keep(),
            port: free_port()?,
            server: None,
            watcher,
        })
    }

    fn launch(&mut self) -> Outcome<()> {
        let server = self.command()?.spawn();
        let server = server.map_err(Trouble::while_doing("cannot start `moto_server`"))?;
        let server = self.server.insert(server);
        let log = self.directory.join("server.log");
        let said = || String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        let started = Instant::now();
        while !said().contains(READY) {
            if let Ok(Some(status)) = server.try_wait() {
                return Err(Trouble::new(format!(
                    "`moto_server` ended at its start ({status}); it says:\n{}",
                    said()
                )));
            }
            if started.elapsed() > PATIENCE {
                return Err(Trouble::new(format!(
                    "`moto_server` does not talk to clients after {} s; it says:\n{}",
                    PATIENCE.as_secs(),
                    said()
                )));
            }
            sleep(GLANCE);
        }
        Ok(())
    }

    fn command(&self) -> Outcome<Command> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join("server.log"))
            .map_err(Trouble::while_doing("cannot write the log of the server"))?;
        let out = log
            .try_clone()
            .map_err(Trouble::while_doing("cannot share the log of the server"))?;
        let port = self.port.to_string();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", LAUNCH, "sh"])
            .arg(self.directory.join("server.started"))
            // A word by which the watcher knows the process again.
            .arg(format!("-p {port}"))
            .arg(binary::find()?)
            .args(["-H", "127.0.0.1", "-p", &port])
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(log)
            // What the person's own environment says of AWS is not for it.
            .env_clear()
            .env("HOME", &self.directory)
            // An interrupt from the keyboard is for the tests.
            .process_group(0);
        Ok(command)
    }

    fn log(&self) -> String {
        let log = fs::read(self.directory.join("server.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // What it keeps is in memory. Each fails when it has ended.
            let _killed = server.kill();
            let _ended = server.wait();
        }
        self.watcher.end();
    }
}
