//! How a database is opened.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::Limits;
use aftercommit_domain::ids::Ids;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::time::Clock;
use secrecy::SecretString;

/// How a database is opened. Durations bound every wait.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct PostgresOptions {
    /// The application's role: units of work and reads of handlers.
    pub url: SecretString,
    /// The role that owns the tables: relay, queue, leases. The same database as `url`.
    pub engine_url: SecretString,
    /// The role of migrations, on a direct connection. The same database as `url`.
    pub migrate_url: SecretString,
    /// What the server shows as `application_name`. Defaults to `aftercommit`.
    pub application_name: String,
    /// Connections for units of work, and as many again for reads of handlers. Defaults to 10.
    pub handler_connections: u32,
    /// Connections of relay and queue. Defaults to 4.
    pub engine_connections: u32,
    /// Connections of those who look. Defaults to 2.
    pub console_connections: u32,
    /// How long anyone waits for a connection. Defaults to 5 s.
    pub acquire_timeout: Duration,
    /// How long one statement may take; the server ends it. Defaults to 30 s.
    pub statement_timeout: Duration,
    /// Whether processes wake each other by `NOTIFY`, each listening on a connection of its own; they poll in any case.
    /// Defaults to true.
    pub notify: bool,
    /// Whether `url` and `engine_url` lead to PgBouncer, which pools by transaction. Defaults to false.
    pub pgbouncer: bool,
    /// Whether opening applies missing migrations; otherwise it refuses a schema that lacks one. Defaults to true.
    pub migrate: bool,
    /// For who only looks and orders: the tables of the product, if any, are neither brought to this version nor looked for.
    /// Defaults to false.
    pub is_operator: bool,
    /// Which successful tasks leave a row in the history. Defaults to all.
    pub record_successes: RecordSuccesses,
}

impl PostgresOptions {
    /// The defaults, with one role for everything.
    pub fn new(url: impl Into<SecretString>) -> Self {
        let url = url.into();
        Self {
            engine_url: url.clone(),
            migrate_url: url.clone(),
            url,
            application_name: "aftercommit".into(),
            handler_connections: 10,
            engine_connections: 4,
            console_connections: 2,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            notify: true,
            pgbouncer: false,
            migrate: true,
            is_operator: false,
            record_successes: RecordSuccesses::All,
        }
    }
}

/// Which successful tasks leave a row in the history. Everything else always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordSuccesses {
    /// Every one.
    All,
    /// One in a hundred.
    Sampled,
    /// None.
    None,
}

/// What a database takes from outside.
#[derive(Clone)]
pub struct PostgresServices {
    /// For what is not the database's to say; leases and delays follow the database's clock.
    pub clock: Arc<dyn Clock>,
    /// Ids of what has none.
    pub ids: Arc<dyn Ids>,
    /// Samples successes and draws lease tokens.
    pub randomness: Arc<dyn Randomness>,
    /// How big messages may be.
    pub limits: Limits,
}
