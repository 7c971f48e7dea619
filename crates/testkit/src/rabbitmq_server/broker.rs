//! One server of the test's own: its processes, and what is done to them. Everything here blocks.

use std::net::TcpStream;
use std::process::Child;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::RabbitMqOptions;
use super::handshake;
use super::installation::{Installation, ends_within};
use crate::throw_away::signals::{Pid, Signal, pid_of, signal};
use crate::throw_away::trouble::{Outcome, Trouble};
use crate::throw_away::watcher::Watcher;

/// How long a server may take to talk to clients or to end. It takes some seconds, and many on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often it is asked meanwhile.
const GLANCE: Duration = Duration::from_millis(50);

/// How often a server is started anew when others take its ports at the same time.
const TRIES: usize = 5;

#[derive(Debug)]
pub(super) struct Broker {
    files: Arc<Installation>,
    epmd: Option<Child>,
    server: Option<Child>,
    watcher: Watcher,
}

impl Broker {
    /// Makes a directory and starts a server in it. `Ok`: it talks to clients.
    pub(super) fn start(options: &RabbitMqOptions) -> Outcome<Self> {
        let mut tried = 0;
        loop {
            let mut broker = Self::prepare(options)?;
            tried += 1;
            match broker.first_start() {
                Ok(()) => return Ok(broker),
                Err(_) if tried < TRIES && (broker.epmd_has_ended() || broker.a_port_was_taken()) => {}
                Err(trouble) => return Err(trouble),
            }
        }
    }

    fn prepare(options: &RabbitMqOptions) -> Outcome<Self> {
        let directory = tempfile::Builder::new()
            .prefix("aftercommit-rabbitmq-")
            .tempdir()
            .map_err(Trouble::while_doing("cannot make a directory for the broker"))?;
        let files = Installation::at(directory.path(), options)?;
        let watcher = Watcher::start(directory.path())
            .map_err(Trouble::while_doing("cannot start /bin/sh to watch over the broker"))?;
        // From here on the watcher deletes it.
        let _directory = directory.keep();
        Ok(Self {
            files: Arc::new(files),
            epmd: None,
            server: None,
            watcher,
        })
    }

    fn first_start(&mut self) -> Outcome<()> {
        let epmd = self.epmd.insert(self.files.launch_epmd()?);
        let started = Instant::now();
        while TcpStream::connect(self.files.epmd_address()).is_err() {
            let ended = epmd.try_wait().ok().flatten();
            if ended.is_some() || started.elapsed() > PATIENCE {
                return Err(Trouble::new(format!(
                    "`epmd` of Erlang does not start; it says:\n{}",
                    self.files.log_tail()
                )));
            }
            sleep(GLANCE);
        }
        self.launch()
    }

    /// It ends without a word when another has its port.
    fn epmd_has_ended(&mut self) -> bool {
        self.epmd
            .as_mut()
            .is_some_and(|epmd| matches!(epmd.try_wait(), Ok(Some(_))))
    }

    fn a_port_was_taken(&self) -> bool {
        let log = self.files.log();
        ["eaddrinuse", "already in use", "is in use by another"]
            .iter()
            .any(|sign| log.contains(sign))
    }

    /// Starts the process once and waits until it talks to clients.
    fn launch(&mut self) -> Outcome<()> {
        let server = self.server.insert(self.files.launch_server()?);
        let started = Instant::now();
        while !handshake::answers(self.files.address()) {
            if let Ok(Some(status)) = server.try_wait() {
                self.server = None;
                return Err(Trouble::new(format!(
                    "the broker ended at its start ({status}); its log ends with:\n{}",
                    self.files.log_tail()
                )));
            }
            if started.elapsed() > PATIENCE {
                return Err(Trouble::new(format!(
                    "the broker does not talk to clients after {} s; its log ends with:\n{}",
                    PATIENCE.as_secs(),
                    self.files.log_tail()
                )));
            }
            sleep(GLANCE);
        }
        Ok(())
    }

    pub(super) const fn files(&self) -> &Arc<Installation> {
        &self.files
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    pub(super) fn epmd_pid(&self) -> Option<u32> {
        self.epmd.as_ref().map(Child::id)
    }

    /// Ends its process at once, without a chance to do anything.
    pub(super) fn kill(&mut self) -> Outcome<()> {
        signal(self.running_pid()?, Signal::KILL);
        self.reap();
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

    /// Closes its connections with a reason, then ends. Nothing durable is lost.
    pub(super) fn stop(&mut self) -> Outcome<()> {
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        if let Some(pid) = pid_of(server) {
            signal(pid, Signal::CONT);
            signal(pid, Signal::TERM);
        }
        if ends_within(server, PATIENCE).is_none() {
            return Err(Trouble::new(format!(
                "the broker did not stop within {} s; its log ends with:\n{}",
                PATIENCE.as_secs(),
                self.files.log_tail()
            )));
        }
        self.server = None;
        Ok(())
    }

    /// Starts it on the same ports with the same data.
    pub(super) fn start_again(&mut self) -> Outcome<()> {
        if self.server.is_some() {
            return Err(Trouble::new(
                "the broker runs: stop or kill it before it is started again",
            ));
        }
        self.launch()
    }

    pub(super) fn restart(&mut self) -> Outcome<()> {
        self.stop()?;
        self.launch()
    }

    fn running_pid(&self) -> Outcome<Pid> {
        self.server
            .as_ref()
            .and_then(pid_of)
            .ok_or_else(|| Trouble::new("the broker is not running"))
    }

    fn reap(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _status = server.wait();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // What it keeps is deleted, so there is nothing to stop in order for.
        for mut child in [self.server.take(), self.epmd.take()].into_iter().flatten() {
            // Each fails when it has ended, which is what is wanted.
            let _killed = child.kill();
            let _ended = child.wait();
        }
        self.watcher.end();
    }
}
