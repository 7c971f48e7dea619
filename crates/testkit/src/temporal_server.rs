//! Temporal for tests: a throw-away server of the test's own.
//!
//! ```no_run
//! # async fn test() {
//! use aftercommit_testkit::temporal_server::TemporalServer;
//!
//! let server = TemporalServer::shared().await;
//! let url = server.url();
//! // … connect to `url`, with a task queue of the test's own
//! # }
//! ```
//!
//! Its program is the one that `AFTERCOMMIT_TEST_TEMPORAL_BIN` names, else `temporal` on the `PATH`. It speaks gRPC, for
//! which tests bring a client of their own.
//!
//! What goes wrong with the server ends the test with a panic that says what to do; a test is never skipped.

mod binary;
mod options;
mod process;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::throw_away::trouble::{Outcome, Trouble, blocking, or_panic};
use process::Process;

pub use options::TemporalOptions;

/// A server that is gone with the test: killed and deleted when the last clone of this value is dropped, and also when
/// the test process is killed.
///
/// It listens on the loopback interface, at a port of its own that it keeps over restarts.
#[derive(Clone)]
pub struct TemporalServer {
    process: Arc<Mutex<Process>>,
    address: String,
    shared: bool,
}

impl TemporalServer {
    /// The server all tests of this process share, started by the first that asks for it, in about a second. What it knows
    /// is in memory. Its only namespace is `default`.
    ///
    /// It cannot be killed, paused or stopped, because others use it. Give task queues and workflows names of their own.
    ///
    /// # Panics
    /// There is no server to be had; the message says what to install.
    pub async fn shared() -> Self {
        static SHARED: OnceCell<TemporalServer> = OnceCell::const_new();

        let started = SHARED.get_or_try_init(|| Self::launch(TemporalOptions::default(), true));
        or_panic(started.await).clone()
    }

    /// A server for this test alone: for tests that kill it, or that need settings.
    ///
    /// # Panics
    /// It could not be started; the message says why, or what to install.
    pub async fn start(options: TemporalOptions) -> Self {
        or_panic(Self::launch(options, false).await)
    }

    async fn launch(options: TemporalOptions, shared: bool) -> Outcome<Self> {
        blocking(move || {
            let process = Process::start(&options)?;
            Ok(Self {
                address: process.address(),
                process: Arc::new(Mutex::new(process)),
                shared,
            })
        })
        .await
    }

    /// Where it listens, as `host:port`; what a proxy in front of it connects to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where clients connect: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.lock().pid()
    }

    /// The last lines of what it has logged.
    pub fn log_tail(&self) -> String {
        self.lock().log_tail()
    }

    /// Runs the program as a client of this server, with these arguments, and answers what it prints.
    ///
    /// # Panics
    /// It fails, or has not ended within half a minute.
    pub async fn cli(&self, arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self.work(move |process| process.cli(&arguments)).await
    }

    /// Kills the server with SIGKILL. [`start_again`](Self::start_again) starts it again.
    ///
    /// # Panics
    /// It is not running, or it is shared.
    pub async fn kill(&self) {
        self.control(Process::kill).await;
    }

    /// Starts it again on the same port, after a kill or a stop, with what it knew if [it keeps
    /// that](TemporalOptions::durable). Returns when it talks to clients.
    ///
    /// # Panics
    /// It is running, it does not start within a minute (the message holds the end of its log), or it is shared.
    pub async fn start_again(&self) {
        self.control(Process::start_again).await;
    }

    /// Stops it in order.
    ///
    /// # Panics
    /// It does not stop within a minute, or it is shared.
    pub async fn stop_gracefully(&self) {
        self.control(Process::stop).await;
    }

    /// Stops its process with SIGSTOP: connections stay open, and nothing answers.
    ///
    /// # Panics
    /// It is not running, or it is shared.
    pub async fn pause(&self) {
        self.control(|process| process.pause()).await;
    }

    /// Lets a paused server go on.
    ///
    /// # Panics
    /// It is not running, or it is shared.
    pub async fn resume(&self) {
        self.control(|process| process.resume()).await;
    }

    async fn control(&self, act: impl FnOnce(&mut Process) -> Outcome<()> + Send + 'static) {
        if self.shared {
            or_panic::<()>(Err(Trouble::new(
                "other tests use the shared server: start one with `TemporalServer::start` to disturb it",
            )));
        }
        self.work(act).await;
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce(&mut Process) -> Outcome<T> + Send + 'static) -> T {
        let process = Arc::clone(&self.process);
        let worked = blocking(move || work(&mut process.lock().unwrap_or_else(PoisonError::into_inner)));
        or_panic(worked.await)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TemporalServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemporalServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
