//! RabbitMQ for tests: a throw-away server of the test's own.
//!
//! ```no_run
//! # async fn test() {
//! use aftercommit_testkit::rabbitmq_server::RabbitMqServer;
//!
//! let server = RabbitMqServer::shared().await;
//! let url = server.new_vhost().await;
//! // … connect to `url`
//! # }
//! ```
//!
//! The programs of RabbitMQ are those of the directory in `AFTERCOMMIT_TEST_RABBITMQ_BIN`, else Debian's in
//! `/usr/lib/rabbitmq/bin`, else those on the `PATH`. When `AFTERCOMMIT_TEST_RABBITMQ_URL` holds the URL of a server,
//! [`RabbitMqServer::shared`] is that one and starts nothing; tests can then connect to it, but not control it.
//!
//! What goes wrong with the server ends the test with a panic that says what to do; a test is never skipped.

mod binaries;
mod broker;
mod external;
mod handshake;
mod installation;
mod options;
mod server;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::throw_away::trouble::{Outcome, Trouble, blocking, or_panic};
use broker::Broker;
use server::Server;

pub use options::RabbitMqOptions;

/// A server that is gone with the test: stopped and deleted when the last clone of this value is dropped, and also when
/// the test process is killed.
///
/// It listens on the loopback interface, at a port of its own that it keeps over restarts, and shares nothing with a
/// RabbitMQ or an Erlang of the machine: its node has a name, a cookie and a name service (`epmd`) of its own.
#[derive(Clone)]
pub struct RabbitMqServer {
    server: Arc<Server>,
}

impl RabbitMqServer {
    /// The server all tests of this process share, started by the first that asks for it, which takes some seconds; or the
    /// one that `AFTERCOMMIT_TEST_RABBITMQ_URL` names.
    ///
    /// It cannot be killed, paused, stopped or alarmed, because others use it. Give queues names of their own, or take a
    /// virtual host by [`new_vhost`](Self::new_vhost).
    ///
    /// # Panics
    /// There is no server to be had; the message says what to install.
    pub async fn shared() -> Self {
        static SHARED: OnceCell<RabbitMqServer> = OnceCell::const_new();

        let started = SHARED.get_or_try_init(|| {
            blocking(|| {
                let server = match external::url()? {
                    Some(url) => Server::external(url),
                    None => Server::own(Broker::start(&RabbitMqOptions::default())?, true)?,
                };
                Ok(Self {
                    server: Arc::new(server),
                })
            })
        });
        or_panic(started.await).clone()
    }

    /// A server for this test alone, whatever the environment names: for tests that kill it, or that need settings.
    ///
    /// # Panics
    /// It could not be started; the message says why, or what to install.
    pub async fn start(options: RabbitMqOptions) -> Self {
        let started = blocking(move || Server::own(Broker::start(&options)?, false));
        Self {
            server: Arc::new(or_panic(started.await)),
        }
    }

    /// Where clients connect without TLS: `amqp://guest:guest@127.0.0.1:PORT/%2f`, or what the environment names.
    pub fn url(&self) -> String {
        self.server.url().to_string()
    }

    /// Where it listens without TLS, as `host:port`; what a proxy in front of it connects to.
    pub fn address(&self) -> String {
        let host = self.server.url().host_str().unwrap_or_default();
        format!("{host}:{}", self.port())
    }

    /// The port in [`url`](Self::url).
    pub fn port(&self) -> u16 {
        self.server.url().port().unwrap_or(5672)
    }

    /// Where it listens with TLS, when [its options](RabbitMqOptions::tls) say that it does.
    pub fn tls_port(&self) -> Option<u16> {
        self.server.tls_port()
    }

    /// Where clients connect with TLS: `amqps://guest:guest@localhost:PORT/%2f`, so the certificate has to be for
    /// `localhost`.
    pub fn tls_url(&self) -> Option<String> {
        self.server.tls_url()
    }

    /// Makes a virtual host for the caller alone, and answers its URL.
    ///
    /// # Panics
    /// The server refuses, or it is one that the environment names.
    pub async fn new_vhost(&self) -> String {
        self.work(Server::new_virtual_host).await
    }

    /// Runs `rabbitmqctl` with these arguments and answers what it prints, without headers.
    ///
    /// # Panics
    /// It fails or has not ended within a minute (as when the server is paused), or the server is one that the environment
    /// names.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self.work(move |server| server.ctl(&arguments)).await
    }

    /// Evaluates an expression of Erlang in the server, as in
    /// `eval("application:set_env(rabbit, consumer_timeout, 60000).")`.
    ///
    /// # Panics
    /// As [`ctl`](Self::ctl).
    pub async fn eval(&self, expression: &str) -> String {
        self.ctl(&["eval", expression]).await
    }

    /// Where a server of the tests' own keeps its files; `None` of one that the environment names.
    pub fn directory(&self) -> Option<PathBuf> {
        self.server.files().map(|files| files.directory().to_path_buf())
    }

    /// The process id of a server of the tests' own while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.read(Broker::pid).flatten()
    }

    /// The process id of its name service, which goes on while the server is down.
    pub fn epmd_pid(&self) -> Option<u32> {
        self.server.read(Broker::epmd_pid).flatten()
    }

    /// What a server of the tests' own has logged so far; empty of one that the environment names.
    pub fn log(&self) -> String {
        self.server
            .files()
            .map(installation::Installation::log)
            .unwrap_or_default()
    }

    /// The last lines of [`log`](Self::log).
    pub fn log_tail(&self) -> String {
        self.server
            .files()
            .map(installation::Installation::log_tail)
            .unwrap_or_default()
    }

    /// Kills the server with SIGKILL. [`start_again`](Self::start_again) starts it again.
    ///
    /// # Panics
    /// It is not running, or it is shared.
    pub async fn kill(&self) {
        self.control(Broker::kill).await;
    }

    /// Starts it again on the same ports and data, after a kill or a stop. Returns when it talks to clients.
    ///
    /// # Panics
    /// It is running, it does not start within two minutes (the message holds the end of its log), or it is shared.
    pub async fn start_again(&self) {
        self.control(Broker::start_again).await;
    }

    /// The same, after a stop in order if it is running.
    ///
    /// # Panics
    /// It does not stop or start within two minutes each, or it is shared.
    pub async fn restart(&self) {
        self.control(Broker::restart).await;
    }

    /// Stops it in order: it closes its connections with a reason, and keeps what is durable.
    ///
    /// # Panics
    /// It does not stop within two minutes, or it is shared.
    pub async fn stop_gracefully(&self) {
        self.control(Broker::stop).await;
    }

    /// Stops its process with SIGSTOP: connections stay open, and nothing answers.
    ///
    /// # Panics
    /// It is not running, or it is shared.
    pub async fn pause(&self) {
        self.control(|broker| broker.pause()).await;
    }

    /// Lets a paused server go on.
    ///
    /// # Panics
    /// It is not running, or it is shared.
    pub async fn resume(&self) {
        self.control(|broker| broker.resume()).await;
    }

    /// Raises or clears the alarm that the server raises when it runs out of memory: while it is on, connections that
    /// publish are blocked. Returns when that is so.
    ///
    /// # Panics
    /// As [`ctl`](Self::ctl), or it is shared.
    pub async fn memory_alarm(&self, on: bool) {
        self.alarm("memory", on).await;
    }

    /// The same, of the alarm about the disk.
    ///
    /// # Panics
    /// As [`memory_alarm`](Self::memory_alarm).
    pub async fn disk_alarm(&self, on: bool) {
        self.alarm("disk", on).await;
    }

    /// Sets the alarm itself instead of the limit: that takes no time, and the server's own measurements, which only tell
    /// of changes, leave it as it is.
    async fn alarm(&self, source: &str, on: bool) {
        let limit = format!("{{resource_limit, {source}, node()}}");
        let change = if on {
            format!("rabbit_alarm:set_alarm({{{limit}, []}})")
        } else {
            format!("rabbit_alarm:clear_alarm({limit})")
        };
        // The question is answered after the change is made.
        let expression = format!("{change}, lists:keymember({limit}, 1, rabbit_alarm:get_alarms()).");
        self.work(move |server| {
            server.refuse_if_shared()?;
            let is_on = server.ctl(&["eval".to_owned(), expression])?;
            if is_on.trim() == on.to_string() {
                Ok(())
            } else {
                Err(Trouble::new(format!("the broker did not change its alarm: {is_on}")))
            }
        })
        .await;
    }

    /// Closes all connections from the server's side, with the reason `CONNECTION_FORCED`.
    ///
    /// # Panics
    /// As [`ctl`](Self::ctl), or it is shared.
    pub async fn close_all_connections(&self) {
        self.work(|server| {
            server.refuse_if_shared()?;
            server.ctl(&["close_all_connections".to_owned(), "a test closes it".to_owned()])
        })
        .await;
    }

    async fn control(&self, act: impl FnOnce(&mut Broker) -> Outcome<()> + Send + 'static) {
        self.work(|server| server.control(act)).await;
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce(&Server) -> Outcome<T> + Send + 'static) -> T {
        let server = Arc::clone(&self.server);
        or_panic(blocking(move || work(&server)).await)
    }
}

impl fmt::Debug for RabbitMqServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMqServer")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
