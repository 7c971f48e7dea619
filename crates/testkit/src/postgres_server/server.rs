//! What databases are made on: a cluster of the tests' own or a server that was there before.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use percent_encoding::percent_decode_str;
use tokio::sync::OnceCell;
use url::Url;

use super::admin::{self, literal};
use super::cluster::Cluster;
use super::external;
use crate::throw_away::secret::secret;
use crate::throw_away::trouble::{Outcome, Trouble};

/// The superuser of a cluster of the tests' own.
pub(super) const SUPERUSER: &str = "postgres";

/// The role that owns the databases. All test processes on one server share it.
pub(super) const OWNER: &str = "aftercommit_test_owner";

/// Its password where processes share it; elsewhere it has a secret one.
const SHARED_OWNER_PASSWORD: &str = "aftercommit-test";

/// Processes that set up the same server at the same time take turns.
const SETUP_LOCK: &str = "SELECT pg_advisory_lock(hashtextextended('aftercommit-testkit', 0))::text";

pub(super) struct Server {
    maintenance: Url,
    owner_password: String,
    /// Begins the names of its databases, so that those of two processes differ.
    run: String,
    databases: AtomicU64,
    templates: Mutex<HashMap<String, Arc<OnceCell<String>>>>,
    kind: Kind,
}

enum Kind {
    External,
    Shared(Mutex<Cluster>),
    Dedicated(Mutex<Cluster>),
}

impl Server {
    pub(super) fn external(url: Url) -> Outcome<Self> {
        external::prepare(&url)?;
        Self::set_up(url, SHARED_OWNER_PASSWORD.to_owned(), Kind::External)
    }

    pub(super) fn shared(cluster: Cluster) -> Outcome<Self> {
        Self::set_up(url_of(&cluster)?, a_secret()?, Kind::Shared(Mutex::new(cluster)))
    }

    pub(super) fn dedicated(cluster: Cluster) -> Outcome<Self> {
        Self::set_up(url_of(&cluster)?, a_secret()?, Kind::Dedicated(Mutex::new(cluster)))
    }

    fn set_up(maintenance: Url, owner_password: String, kind: Kind) -> Outcome<Self> {
        let owner = format!(
            "DO $$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}') THEN CREATE ROLE {OWNER}; END IF;
            END $$;
            ALTER ROLE {OWNER} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD {}",
            literal(&owner_password)
        );
        admin::run(&maintenance, vec![SETUP_LOCK.to_owned(), owner])?;
        let mut run = a_secret()?;
        run.truncate(8);
        Ok(Self {
            maintenance,
            owner_password,
            run,
            databases: AtomicU64::new(0),
            templates: Mutex::default(),
            kind,
        })
    }

    /// Creates an empty database or a copy of another, and answers its name.
    pub(super) fn create_database(&self, template: Option<&str>) -> Outcome<String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("aftercommit_test_{}_{number}", self.run);
        // Nobody can be connected to `template0`, so it can always be copied.
        let template = template.unwrap_or("template0");
        let create = format!("CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template}");
        admin::run(&self.maintenance, vec![create])?;
        Ok(name)
    }

    /// Makes sure that nobody is connected to a template, as else it could not be copied.
    pub(super) fn close_template(&self, database: &str) -> Outcome<()> {
        let statements = vec![
            format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false"),
            format!(
                "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = {}",
                literal(database)
            ),
        ];
        admin::run(&self.maintenance, statements).map(drop)
    }

    /// The place of a template, made or not.
    pub(super) fn template(&self, name: &str) -> Arc<OnceCell<String>> {
        Arc::clone(self.templates().entry(name.to_owned()).or_default())
    }

    /// The database behind a template.
    pub(super) fn template_database(&self, name: &str) -> Outcome<String> {
        self.templates()
            .get(name)
            .and_then(|template| template.get().cloned())
            .ok_or_else(|| {
                Trouble::new(format!(
                    "there is no template `{name}` yet: await `template(\"{name}\", …)` in each test that uses it"
                ))
            })
    }

    fn templates(&self) -> MutexGuard<'_, HashMap<String, Arc<OnceCell<String>>>> {
        self.templates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn maintenance_url(&self) -> &Url {
        &self.maintenance
    }

    /// The superuser's URL of a database.
    pub(super) fn superuser_url(&self, database: &str) -> Url {
        let mut url = self.maintenance.clone();
        url.set_path(database);
        url
    }

    /// The owner's URL of a database.
    pub(super) fn owner_url(&self, database: &str) -> Url {
        with_login(&self.superuser_url(database), OWNER, &self.owner_password)
    }

    /// Who can log in, and with which password.
    pub(super) fn logins(&self) -> Vec<(String, String)> {
        let password = percent_decode_str(self.maintenance.password().unwrap_or_default());
        let name = percent_decode_str(self.maintenance.username());
        vec![
            (
                name.decode_utf8_lossy().into_owned(),
                password.decode_utf8_lossy().into_owned(),
            ),
            (OWNER.to_owned(), self.owner_password.clone()),
        ]
    }

    pub(super) fn address(&self) -> String {
        let host = self.maintenance.host_str().unwrap_or_default();
        format!("{host}:{}", self.maintenance.port().unwrap_or(5432))
    }

    /// Whether it is worth while to talk to it.
    pub(super) fn answers(&self) -> bool {
        self.read(Cluster::is_running).unwrap_or(true)
    }

    /// Whether what is left on it stays there.
    pub(super) const fn outlives_the_process(&self) -> bool {
        matches!(self.kind, Kind::External)
    }

    /// Asks its cluster, if it is of the tests' own.
    pub(super) fn read<T>(&self, ask: impl FnOnce(&Cluster) -> T) -> Option<T> {
        match &self.kind {
            Kind::External => None,
            Kind::Shared(cluster) | Kind::Dedicated(cluster) => Some(ask(&lock(cluster))),
        }
    }

    /// Does something to its cluster that only its one test may do.
    pub(super) fn control(&self, act: impl FnOnce(&mut Cluster) -> Outcome<()>) -> Outcome<()> {
        match &self.kind {
            Kind::Dedicated(cluster) => act(&mut lock(cluster)),
            Kind::External | Kind::Shared(_) => Err(Trouble::new(
                "other tests use the shared server: start one with `PostgresServer::start` to stop it",
            )),
        }
    }
}

/// The same URL with another login.
pub(super) fn with_login(url: &Url, name: &str, password: &str) -> Url {
    let mut url = url.clone();
    // They fail for URLs without a host only, and each of these has one.
    let _name = url.set_username(name);
    let _password = url.set_password(Some(password));
    url
}

fn lock(cluster: &Mutex<Cluster>) -> MutexGuard<'_, Cluster> {
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

fn url_of(cluster: &Cluster) -> Outcome<Url> {
    let url = format!(
        "postgres://{SUPERUSER}:{}@{}/postgres",
        cluster.password(),
        cluster.address()
    );
    Url::parse(&url).map_err(Trouble::while_doing("the URL of the test server is wrong"))
}

fn a_secret() -> Outcome<String> {
    secret().map_err(Trouble::while_doing("cannot read /dev/urandom"))
}
