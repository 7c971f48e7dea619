//! PostgreSQL for tests: a throw-away server of the test's own, and a fresh database for each test.
//!
//! ```no_run
//! # async fn migrate(_url: String) {}
//! # async fn test() {
//! use aftercommit_testkit::postgres_server::PostgresServer;
//!
//! let server = PostgresServer::shared().await;
//! server.template("migrated", async |urls| migrate(urls.url()).await).await;
//! let database = server.database(Some("migrated")).await;
//! // … connect to `database.url()`
//! # }
//! ```
//!
//! The programs of PostgreSQL are those of the directory in `AFTERCOMMIT_TEST_POSTGRES_BIN`, else the newest below
//! `/usr/lib/postgresql`, else those on the `PATH`. When `AFTERCOMMIT_TEST_DATABASE_URL` holds the URL of a superuser,
//! [`PostgresServer::shared`] makes its databases there and starts nothing.
//!
//! What goes wrong with the server ends the test with a panic that says what to do; a test is never skipped.

mod account;
mod admin;
mod binaries;
mod cluster;
mod database;
mod external;
mod installation;
mod options;
mod pgbouncer;
mod processes;
mod server;
mod watcher;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::throw_away::trouble::{Outcome, blocking, or_panic};
use cluster::Cluster;
use server::Server;

pub use database::{DatabaseUrls, TestDatabase};
pub use options::PostgresOptions;
pub use pgbouncer::PgBouncer;

/// A server that is gone with the test: stopped and deleted when the last clone of this value and the last
/// [`TestDatabase`] on it are dropped, and also when the test process is killed.
///
/// It listens on the loopback interface, at a port of its own that it keeps over restarts.
#[derive(Clone)]
pub struct PostgresServer {
    server: Arc<Server>,
}

impl PostgresServer {
    /// The server all tests of this process share, started by the first that asks for it: the one that
    /// `AFTERCOMMIT_TEST_DATABASE_URL` names, or a throw-away one that does not wait for the disk.
    ///
    /// It cannot be killed, paused or stopped, because others use it.
    ///
    /// # Panics
    /// There is no server to be had; the message says what to install.
    pub async fn shared() -> Self {
        static SHARED: OnceCell<PostgresServer> = OnceCell::const_new();

        let started = SHARED.get_or_try_init(|| {
            blocking(|| {
                let server = match external::url()? {
                    Some(url) => Server::external(url)?,
                    None => Server::shared(Cluster::start(&PostgresOptions::default().without_fsync())?)?,
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
    pub async fn start(options: PostgresOptions) -> Self {
        let started = blocking(move || Server::dedicated(Cluster::start(&options)?));
        Self {
            server: Arc::new(or_panic(started.await)),
        }
    }

    /// A fresh database, empty or a copy of a template made by [`template`](Self::template).
    ///
    /// # Panics
    /// There is no such template, or the server refuses.
    pub async fn database(&self, template: Option<&str>) -> TestDatabase {
        or_panic(self.new_database(template).await)
    }

    /// Makes a template the first time it is asked for by this name, with `make`, and waits for it otherwise. Tests that
    /// run at the same time may all call it; if the one that makes it fails, the next tries.
    ///
    /// `make` gets the URLs of an empty database that becomes the template. What it leaves connected is disconnected.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn template(&self, name: &str, make: impl AsyncFnOnce(DatabaseUrls)) {
        let template = self.server.template(name);
        let made = template.get_or_try_init(async || {
            let database = self.new_database(None).await?;
            make(database.urls().clone()).await;
            let name = database.name().to_owned();
            let server = Arc::clone(&self.server);
            blocking(move || server.close_template(&name)).await?;
            Ok(database.keep())
        });
        or_panic(made.await);
    }

    async fn new_database(&self, template: Option<&str>) -> Outcome<TestDatabase> {
        let template = template.map(|name| self.server.template_database(name)).transpose()?;
        let server = Arc::clone(&self.server);
        blocking(move || {
            let name = server.create_database(template.as_deref())?;
            Ok(TestDatabase::new(server, name))
        })
        .await
    }

    /// The superuser's URL of the database `postgres` (of the database the URL in the environment names).
    pub fn superuser_url(&self) -> String {
        self.server.maintenance_url().to_string()
    }

    /// Where it listens, as `host:port`; what a proxy in front of it connects to.
    pub fn address(&self) -> String {
        self.server.address()
    }

    /// Where a server of the tests' own keeps its files; `None` of one that the environment names.
    pub fn directory(&self) -> Option<PathBuf> {
        self.server.read(|cluster| cluster.files().directory().to_path_buf())
    }

    /// The process id of a server of the tests' own while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.server.read(Cluster::pid).flatten()
    }

    /// What a server of the tests' own has logged so far; empty of one that the environment names.
    pub fn log(&self) -> String {
        self.server.read(|cluster| cluster.files().log()).unwrap_or_default()
    }

    /// Kills the server's main process with SIGKILL. Its backends go on until they notice, so a statement under way may
    /// still be answered, and even commit.
    ///
    /// # Panics
    /// It is not running, or it is shared.
    pub async fn kill9(&self) {
        self.control(Cluster::kill9).await;
    }

    /// Kills all its processes with SIGKILL at once.
    ///
    /// # Panics
    /// It is not running, or it is shared.
    pub async fn kill9_all(&self) {
        self.control(Cluster::kill9_all).await;
    }

    /// Starts it again on the same port and data, after a stop if it is running. Returns when it accepts connections, at
    /// the end of the recovery after a kill.
    ///
    /// # Panics
    /// It does not start within a minute (the message holds the end of its log), or it is shared.
    pub async fn restart(&self) {
        self.control(Cluster::restart).await;
    }

    /// Stops all its processes with SIGSTOP: connections stay open, and nothing answers.
    ///
    /// # Panics
    /// It is not running, or it is shared.
    pub async fn pause(&self) {
        self.control(Cluster::pause).await;
    }

    /// Lets a paused server go on.
    ///
    /// # Panics
    /// It is shared.
    pub async fn resume(&self) {
        self.control(|cluster| {
            cluster.resume();
            Ok(())
        })
        .await;
    }

    /// Stops it in order: sessions end with an error that says so. [`restart`](Self::restart) starts it again.
    ///
    /// # Panics
    /// It does not stop within a minute, or it is shared.
    pub async fn stop(&self) {
        self.control(Cluster::stop).await;
    }

    async fn control(&self, act: impl FnOnce(&mut Cluster) -> Outcome<()> + Send + 'static) {
        let server = Arc::clone(&self.server);
        or_panic(blocking(move || server.control(act)).await);
    }
}

impl fmt::Debug for PostgresServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresServer")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
