//! A database of one test.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::admin;
use super::server::{Server, with_login};
use crate::throw_away::trouble::{blocking, or_panic};

/// How long the end of a test waits for a server that outlives the process. What is left, a later run removes.
const PATIENCE: Duration = Duration::from_secs(2);

/// A fresh database. Soon after this value is dropped, so is the database, with what is connected to it.
///
/// Declare it before the pools that use it, so that they are closed first.
pub struct TestDatabase {
    server: Arc<Server>,
    urls: DatabaseUrls,
    name: String,
    kept: bool,
}

/// How to connect to a database.
#[derive(Clone)]
pub struct DatabaseUrls {
    owner: Url,
    superuser: Url,
}

impl TestDatabase {
    pub(super) fn new(server: Arc<Server>, name: String) -> Self {
        let urls = DatabaseUrls {
            owner: server.owner_url(&name),
            superuser: server.superuser_url(&name),
        };
        Self {
            server,
            urls,
            name,
            kept: false,
        }
    }

    /// Drops it now, and what is connected to it.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn close(mut self) {
        self.kept = true;
        let (url, statement) = (self.server.maintenance_url().clone(), self.drop_statement());
        or_panic(blocking(move || admin::run(&url, vec![statement]).map(drop)).await);
    }

    fn drop_statement(&self) -> String {
        format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)
    }

    /// Leaves the database where it is, and answers its name.
    pub(super) fn keep(mut self) -> String {
        self.kept = true;
        self.name.clone()
    }

    /// The URL of its owner: an ordinary role, which may create what it likes in this database, is subject to row-level
    /// security where a table forces it on its owner, and may nothing elsewhere.
    pub fn url(&self) -> String {
        self.urls.url()
    }

    /// The URL of a superuser, for what an owner may not do: extensions, other roles, a look at all sessions. Row-level
    /// security does not apply to it.
    pub fn superuser_url(&self) -> String {
        self.urls.superuser_url()
    }

    /// Both.
    pub const fn urls(&self) -> &DatabaseUrls {
        &self.urls
    }

    /// Its name, which needs no quotes.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl DatabaseUrls {
    /// The URL of the owner; see [`TestDatabase::url`].
    pub fn url(&self) -> String {
        self.owner.to_string()
    }

    /// The URL of a superuser; see [`TestDatabase::superuser_url`].
    pub fn superuser_url(&self) -> String {
        self.superuser.to_string()
    }

    /// The same database reached at another address, such as that of a proxy in front of the server.
    pub fn through(&self, address: SocketAddr) -> Self {
        let moved = |url: &Url| {
            let mut url = url.clone();
            // They fail for URLs without a host only, and each of these has one.
            let _host = url.set_ip_host(address.ip());
            let _port = url.set_port(Some(address.port()));
            url
        };
        Self {
            owner: moved(&self.owner),
            superuser: moved(&self.superuser),
        }
    }

    /// The same database as another role that can log in.
    pub fn as_role(&self, role: &str, password: &str) -> String {
        with_login(&self.owner, role, password).to_string()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A server that a test has stopped or paused takes its databases with it.
        if self.kept || !self.server.answers() {
            return;
        }
        let url = self.server.maintenance_url().clone();
        let statement = self.drop_statement();
        let dropping = move || admin::run(&url, vec![statement]).map(drop);
        let (done, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(dropping()));
        // The server waits for every session that is being opened, and one may be opened by a task of this very thread:
        // nobody may wait for the server here without an end.
        if self.server.outlives_the_process() {
            let _dropped = wait.recv_timeout(PATIENCE);
        }
    }
}

impl fmt::Debug for TestDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestDatabase")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DatabaseUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // There are passwords in them.
        f.debug_struct("DatabaseUrls")
            .field("host", &self.owner.host_str())
            .field("port", &self.owner.port())
            .field("path", &self.owner.path())
            .finish_non_exhaustive()
    }
}
