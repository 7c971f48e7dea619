//! The pools: the only place that builds one.
//!
//! sqlx 0.9.0 loses track of a transaction whose `begin` was cancelled after the statement was sent: the connection goes
//! back to its pool inside a transaction that nobody commits, and later writes through it are lost. So every connection
//! of the application's is asked for such a transaction when it is taken out, which replaces sqlx's own ping and costs the
//! same; units of work begin in a way that cannot be cancelled; and what the engine did not finish on a connection closes it
//! (`Statements`).

use std::str::FromStr as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool, Row as _};
use tokio::time::timeout;

use crate::connect_error::ConnectError;
use crate::options::PostgresOptions;

/// A server of this version or newer.
const OLDEST_SERVER: i32 = 130_000;
/// SQLSTATE `in_failed_sql_transaction`.
const IN_FAILED_TRANSACTION: &str = "25P02";
/// Connections for leases: one renews while another rescues.
const LEASE_CONNECTIONS: u32 = 2;
/// A connection that did nothing for this long is closed.
const IDLE: Duration = Duration::from_mins(5);

/// The pools of one process, each for a purpose of its own, so that slow handlers never keep a lease from being renewed.
#[derive(Debug, Clone)]
pub struct Pools {
    /// For units of work alone, which leave no transaction behind.
    pub(crate) units: PgPool,
    /// For reads and statements of handlers.
    pub handlers: PgPool,
    /// For relay and queue, through [`Statements`](crate::Statements) alone, as the next two: a `begin` that is cancelled on
    /// one of them is not found out.
    #[doc(hidden)]
    pub engine: PgPool,
    /// For signs of life and rescue.
    #[doc(hidden)]
    pub leases: PgPool,
    /// For those who look.
    #[doc(hidden)]
    pub console: PgPool,
}

impl Pools {
    /// Builds them; connections are made when they are needed.
    pub(crate) fn build(options: &PostgresOptions) -> Result<Self, ConnectError> {
        let application = connect_options(&options.url, "DATABASE_URL", options)?;
        let engine = connect_options(&options.engine_url, "AFTERCOMMIT_POSTGRES__ENGINE_URL", options)?;
        let engine = if options.pgbouncer {
            engine
        } else {
            // Whoever has waited for its turn must see what was done meanwhile, whatever the role is set to.
            engine.options([("default_transaction_isolation", "read committed")])
        };
        let unasked = |connections: u32| {
            PgPoolOptions::new()
                .min_connections(0)
                .max_connections(connections.max(1))
                .acquire_timeout(options.acquire_timeout)
                .idle_timeout(IDLE)
                .test_before_acquire(false)
                .after_connect(|connection, _| Box::pin(refuse_standby(connection)))
        };
        // Asked whether it lives by a message that is no statement.
        let pool = |connections: u32| unasked(connections).test_before_acquire(true);
        let guarded = |connections: u32| {
            unasked(connections).before_acquire(|connection, _| Box::pin(end_left_over_transaction(connection)))
        };
        let limit = options.statement_timeout;
        // What the application gave up on a link that is half open must not keep its place; elsewhere `Loan` sees to it.
        let handlers = guarded(options.handler_connections).after_release(move |connection, _| {
            Box::pin(async move {
                Ok(timeout(limit, connection.ping())
                    .await
                    .is_ok_and(|answer| answer.is_ok()))
            })
        });
        Ok(Self {
            units: unasked(options.handler_connections).connect_lazy_with(application.clone()),
            handlers: handlers.connect_lazy_with(application),
            engine: pool(options.engine_connections).connect_lazy_with(engine.clone()),
            leases: pool(LEASE_CONNECTIONS).connect_lazy_with(engine.clone()),
            console: pool(options.console_connections).connect_lazy_with(engine),
        })
    }

    /// Closes them all; connections in use are waited for.
    pub(crate) async fn close(&self) {
        tokio::join!(
            self.units.close(),
            self.handlers.close(),
            self.engine.close(),
            self.leases.close(),
            self.console.close(),
        );
    }
}

/// Ends a transaction that somebody left open. Not with a `ROLLBACK` on the chance, which without a transaction is a
/// warning in the server's log each time.
async fn end_left_over_transaction(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // Inside a transaction `now()` is when that began.
    let is_outside = match connection.fetch_one("SELECT now() = statement_timestamp()").await {
        Ok(row) => row.try_get(0)?,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(IN_FAILED_TRANSACTION) => false,
        Err(error) => return Err(error),
    };
    if !is_outside {
        connection.execute("ROLLBACK").await?;
    }
    Ok(true)
}

/// How a connection is made that listens, if there may be one: behind PgBouncer only past it, by the URL of migrations.
/// Each call makes a pool of one connection.
pub(crate) fn listening(
    options: &PostgresOptions,
) -> Result<Option<impl Fn() -> PgPool + Send + Sync + use<>>, ConnectError> {
    let is_direct = !options.pgbouncer || options.migrate_url.expose_secret() != options.engine_url.expose_secret();
    if !options.notify || !is_direct {
        return Ok(None);
    }
    let connect = if options.pgbouncer {
        connect_options(&options.migrate_url, "AFTERCOMMIT_POSTGRES__MIGRATE_URL", options)?
    } else {
        connect_options(&options.engine_url, "AFTERCOMMIT_POSTGRES__ENGINE_URL", options)?
    };
    let acquire_timeout = options.acquire_timeout;
    Ok(Some(move || {
        PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .after_connect(|connection, _| Box::pin(refuse_standby(connection)))
            .connect_lazy_with(connect.clone())
    }))
}

/// A connection for migrations, past every pool. Refuses a server that is too old or only reads.
pub(crate) async fn connect_directly(options: &PostgresOptions) -> Result<PgConnection, ConnectError> {
    let connect = connect_options(&options.migrate_url, "AFTERCOMMIT_POSTGRES__MIGRATE_URL", options)?;
    let place = format!("{}:{}", connect.get_host(), connect.get_port());
    let mut connection = timeout(options.acquire_timeout, PgConnection::connect_with(&connect))
        .await
        .map_err(|_| ConnectError::Unreachable {
            place: place.clone(),
            reason: format!("no answer within {:?}", options.acquire_timeout),
        })?
        .map_err(|error| ConnectError::connecting(&place, &error))?;
    let server = server(&mut connection)
        .await
        .map_err(|error| ConnectError::connecting(&place, &error))?;
    accept(server, place)?;
    Ok(connection)
}

/// A connection of the application's role, past every pool, to look at what that role is. `None` when there is none to be
/// had: whoever needs one says why.
pub(crate) async fn application_connection(options: &PostgresOptions) -> Option<PgConnection> {
    let connect = connect_options(&options.url, "DATABASE_URL", options).ok()?;
    timeout(options.acquire_timeout, PgConnection::connect_with(&connect))
        .await
        .ok()?
        .ok()
}

/// What a server says of itself.
struct Server {
    version: i32,
    shown: String,
    encoding: String,
    is_standby: bool,
}

fn accept(server: Server, place: String) -> Result<(), ConnectError> {
    if server.version < OLDEST_SERVER {
        return Err(ConnectError::OldServer { found: server.shown });
    }
    // Without a conversion every text is stored as it comes, as in UTF8.
    if !matches!(&*server.encoding, "UTF8" | "SQL_ASCII") {
        return Err(ConnectError::Encoding { found: server.encoding });
    }
    if server.is_standby {
        return Err(ConnectError::Standby { place });
    }
    Ok(())
}

/// In one message, which a pooler sends to one server.
async fn server(connection: &mut PgConnection) -> Result<Server, sqlx::Error> {
    let row = connection
        .fetch_one(
            "SELECT current_setting('server_version_num')::integer, current_setting('server_version'), \
               current_setting('server_encoding'), pg_is_in_recovery()",
        )
        .await?;
    Ok(Server {
        version: row.try_get(0)?,
        shown: row.try_get(1)?,
        encoding: row.try_get(2)?,
        is_standby: row.try_get(3)?,
    })
}

fn connect_options(
    url: &SecretString,
    which: &'static str,
    options: &PostgresOptions,
) -> Result<PgConnectOptions, ConnectError> {
    let connect = PgConnectOptions::from_str(url.expose_secret()).map_err(|error| ConnectError::Url {
        which,
        reason: error.to_string(),
    })?;
    let connect = connect.application_name(&options.application_name);
    if options.pgbouncer {
        // It takes no parameters of a session; transactions take them one by one.
        return Ok(connect.extra_float_digits(None));
    }
    let millis = |duration: Duration| duration.as_millis().to_string();
    Ok(connect.options([
        // `ROLLBACK` outside a transaction is only a warning, and an expected one.
        ("client_min_messages", "error".to_owned()),
        // Short statements by index: compiling one costs more than it ever takes.
        ("jit", "off".to_owned()),
        ("statement_timeout", millis(options.statement_timeout)),
        ("lock_timeout", millis(options.statement_timeout)),
        ("idle_in_transaction_session_timeout", millis(options.statement_timeout)),
        ("tcp_keepalives_idle", "30".to_owned()),
        ("tcp_keepalives_interval", "10".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
    ]))
}

/// After a failover the old primary may still answer, and would refuse every write.
async fn refuse_standby(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // In one message, which a pooler sends to one server.
    let row = connection.fetch_one("SELECT pg_is_in_recovery()").await?;
    if row.try_get(0)? {
        return Err(sqlx::Error::Configuration(
            "the server is a standby, which cannot write".into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_before_13_is_refused_and_the_message_names_both_versions() {
        let server = |version: i32, shown: &str| Server {
            version,
            shown: shown.to_owned(),
            encoding: "UTF8".to_owned(),
            is_standby: false,
        };
        let refused = accept(server(120_022, "12.22"), "db:5432".into()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "PostgreSQL 12.22 is too old; 13 or newer is needed"
        );
        for (version, shown) in [(130_000, "13.0"), (180_004, "18.4")] {
            assert!(accept(server(version, shown), "db:5432".into()).is_ok());
        }
    }
}
