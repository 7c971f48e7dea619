//! One server of the test's own: its directory, its process, and what is done to it. Everything here blocks.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::PostgresOptions;
use super::installation::Installation;
use super::processes;
use super::watcher::Watcher;
use crate::throw_away::ports::free_port;
use crate::throw_away::secret::secret;
use crate::throw_away::signals::{Pid, Signal, pid_of, signal};
use crate::throw_away::trouble::{Outcome, Trouble};

/// How long a server may take to accept connections or to end. Recovery after a crash is part of it.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often its state is looked at meanwhile.
const GLANCE: Duration = Duration::from_millis(10);

/// How many ports are tried when others take the same at the same time.
const PORTS_TRIED: usize = 5;

#[derive(Debug)]
pub(super) struct Cluster {
    files: Installation,
    port: u16,
    password: String,
    server: Option<Child>,
    paused: Vec<Pid>,
    watcher: Watcher,
}

impl Cluster {
    /// Makes a directory with an empty cluster and starts a server on it. `Ok`: it accepts connections.
    pub(super) fn start(options: &PostgresOptions) -> Outcome<Self> {
        let password = secret().map_err(Trouble::while_doing("cannot read /dev/urandom"))?;
        let directory = tempfile::Builder::new()
            .prefix("aftercommit-postgres-")
            .tempdir()
            .map_err(Trouble::while_doing("cannot make a directory for the test server"))?;
        let files = Installation::at(directory.path())?;
        let watcher = Watcher::start(directory.path()).map_err(Trouble::while_doing(
            "cannot start /bin/sh to watch over the test server",
        ))?;
        // From here on the watcher deletes it.
        let _directory = directory.keep();
        let mut cluster = Self {
            files,
            port: 0,
            password,
            server: None,
            paused: Vec::new(),
            watcher,
        };
        cluster.files.initialize(options, &cluster.password)?;
        cluster.first_start()?;
        Ok(cluster)
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }

    pub(super) const fn files(&self) -> &Installation {
        &self.files
    }

    pub(super) fn is_running(&self) -> bool {
        self.server.is_some() && self.paused.is_empty()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    fn first_start(&mut self) -> Outcome<()> {
        let mut tried = 0;
        loop {
            self.port = free_port()?;
            match self.launch() {
                Err(_) if tried + 1 < PORTS_TRIED && self.files.log().contains("could not bind") => tried += 1,
                outcome => return outcome,
            }
        }
    }

    /// Starts the process once and waits until it accepts connections.
    fn launch(&mut self) -> Outcome<()> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.files.log_file())
            .map_err(Trouble::while_doing("cannot write the log of the test server"))?;
        let output = |log: &File| {
            log.try_clone()
                .map_err(Trouble::while_doing("cannot share the log of the test server"))
        };
        let mut postgres = self.files.command("postgres");
        postgres
            .arg("-D")
            .arg(self.files.data())
            .args(["-p", &self.port.to_string()])
            .stdout(output(&log)?)
            .stderr(output(&log)?)
            // An interrupt from the keyboard is for the tests.
            .process_group(0);
        let child = postgres
            .spawn()
            .map_err(Trouble::while_doing("cannot start `postgres`"))?;
        let pid = pid_of(&child);
        self.server = Some(child);
        self.watcher.running(pid).map_err(Trouble::while_doing(
            "the process that watches over the test server is gone",
        ))?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Outcome<()> {
        let started = Instant::now();
        loop {
            let Some(server) = &mut self.server else {
                return Err(Trouble::new("the test server is not running"));
            };
            if let Ok(Some(status)) = server.try_wait() {
                self.forget_server();
                return Err(Trouble::new(format!(
                    "the test server ended at its start ({status}); its log ends with:\n{}",
                    self.files.log_tail()
                )));
            }
            let pid = server.id();
            if says_ready(&self.files.data(), pid) {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(Trouble::new(format!(
                    "the test server does not accept connections after {} s; its log ends with:\n{}",
                    PATIENCE.as_secs(),
                    self.files.log_tail()
                )));
            }
            sleep(GLANCE);
        }
    }

    /// Ends the process of the server at once, without a chance to do anything. Its backends end when they notice.
    pub(super) fn kill9(&mut self) -> Outcome<()> {
        let server = self.running_pid()?;
        signal(server, Signal::KILL);
        self.reap();
        Ok(())
    }

    /// Ends all processes at once.
    pub(super) fn kill9_all(&mut self) -> Outcome<()> {
        let server = self.running_pid()?;
        // Stopped first, so that it starts no more of them.
        signal(server, Signal::STOP);
        let children = processes::children_of(server)?;
        signal(server, Signal::KILL);
        for child in children {
            signal(child, Signal::KILL);
        }
        self.reap();
        Ok(())
    }

    pub(super) fn pause(&mut self) -> Outcome<()> {
        let server = self.running_pid()?;
        // The server first, so that it starts no more of them.
        signal(server, Signal::STOP);
        self.paused = vec![server];
        self.paused.extend(processes::children_of(server)?);
        self.watcher.paused(&self.paused).map_err(Trouble::while_doing(
            "the process that watches over the test server is gone",
        ))?;
        for child in &self.paused {
            signal(*child, Signal::STOP);
        }
        Ok(())
    }

    pub(super) fn resume(&mut self) {
        // The server last, so that it finds its backends alive.
        for process in self.paused.drain(..).rev() {
            signal(process, Signal::CONT);
        }
        // The watcher is only told less than is true when this fails.
        let _told = self.watcher.paused(&[]);
    }

    /// Ends sessions with an error, then the server. Nothing is lost.
    pub(super) fn stop(&mut self) -> Outcome<()> {
        self.end_by(Signal::INT, PATIENCE)
    }

    /// Ends all at once, but in order: what is shared with other processes is given back.
    fn end(&mut self) {
        // When even that fails, the watcher tries again.
        let _ended = self.end_by(Signal::QUIT, Duration::from_secs(10));
    }

    fn end_by(&mut self, how: Signal, patience: Duration) -> Outcome<()> {
        self.resume();
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        if let Some(pid) = pid_of(server) {
            signal(pid, how);
        }
        let asked = Instant::now();
        while !matches!(server.try_wait(), Ok(Some(_)) | Err(_)) {
            if asked.elapsed() > patience {
                return Err(Trouble::new(format!(
                    "the test server did not stop within {} s; its log ends with:\n{}",
                    patience.as_secs(),
                    self.files.log_tail()
                )));
            }
            sleep(GLANCE);
        }
        self.forget_server();
        Ok(())
    }

    /// Starts it on the same port with the same data, after a stop if it runs. The backends of a killed server may hold
    /// its shared memory for some time, so a start that fails is tried again.
    pub(super) fn restart(&mut self) -> Outcome<()> {
        self.stop()?;
        let began = Instant::now();
        loop {
            match self.launch() {
                // Of a server that is up but never ready, a second one would say less.
                Err(_) if self.server.is_none() && began.elapsed() < PATIENCE => sleep(Duration::from_millis(100)),
                outcome => return outcome,
            }
        }
    }

    fn running_pid(&self) -> Outcome<Pid> {
        self.server
            .as_ref()
            .and_then(pid_of)
            .ok_or_else(|| Trouble::new("the test server is not running"))
    }

    /// Takes note that the server is gone.
    fn reap(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _status = server.wait();
        }
        self.paused.clear();
        self.forget_server();
    }

    fn forget_server(&mut self) {
        self.server = None;
        // Its process id may be another's from now on, but the watcher also asks the pid file.
        let _told = self.watcher.running(None);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
        self.watcher.end();
    }
}

/// The last line of the pid file says it. A file that a killed server left has another process id.
fn says_ready(data: &Path, pid: u32) -> bool {
    let Ok(file) = fs::read_to_string(data.join("postmaster.pid")) else {
        return false;
    };
    let lines: Vec<&str> = file.lines().map(str::trim).collect();
    lines.first().is_some_and(|written| *written == pid.to_string()) && lines.get(7) == Some(&"ready")
}
