//! `AFTERCOMMIT_POSTGRES__*`: how a PostgreSQL server is used.

use crate::{
    key::{Form, Key, Preset},
    postgres_url::{self, ACCEPTED, GivenUrl, PostgresUrl},
    reading::Reading,
};
use std::time::Duration;

/// Settings of a PostgreSQL database. `Debug` leaves passwords out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// The role of the application: handlers, the console, and writers of events. From `DATABASE_URL`.
    pub url: PostgresUrl,
    /// The role of relay, leases and maintenance, which works for every tenant. Defaults to `url`.
    pub engine_url: PostgresUrl,
    /// The role of migrations, on a direct connection. Defaults to `engine_url`.
    pub migrate_url: PostgresUrl,
    /// Connections of the handlers. Defaults to 10.
    pub handler_connections: u32,
    /// Connections of relay, leases and maintenance. Defaults to 4.
    pub engine_connections: u32,
    /// Connections of the console and `/admin/v1`. Defaults to 2.
    pub console_connections: u32,
    /// How long anyone waits for a connection. Defaults to 5 s.
    pub acquire_timeout: Duration,
    /// How long one statement may take. Defaults to 30 s.
    pub statement_timeout: Duration,
    /// Whether processes wake each other by NOTIFY; they poll in any case. Defaults to true.
    pub notify: bool,
    /// Whether the URLs lead to PgBouncer, which pools by transaction. Defaults to false.
    pub pgbouncer: bool,
    /// Whether migrations are applied when the process starts. Defaults to true.
    pub migrate_on_start: bool,
}

const CONNECTIONS: Form = Form::Count { min: 1, max: 1_000 };

pub(crate) static KEYS: [Key; 11] = [
    Key::new(
        "postgres.engine_url",
        Form::Described(ACCEPTED),
        Preset::Unset("DATABASE_URL"),
        "The same database for relay, leases and maintenance, which work for every tenant, by a role of their own.",
    )
    .secret(),
    Key::new(
        "postgres.migrate_url",
        Form::Described(ACCEPTED),
        Preset::Unset("postgres.engine_url"),
        "The same database for migrations: a role that may create tables, on a connection that no pooler shares.",
    )
    .secret(),
    Key::new(
        "postgres.handler_connections",
        CONNECTIONS,
        Preset::Value("10"),
        "Connections of the handlers.",
    ),
    Key::new(
        "postgres.engine_connections",
        CONNECTIONS,
        Preset::Value("4"),
        "Connections of relay, leases and maintenance.",
    ),
    Key::new(
        "postgres.console_connections",
        CONNECTIONS,
        Preset::Value("2"),
        "Connections of the console and /admin/v1.",
    ),
    Key::new(
        "postgres.acquire_timeout",
        Form::Span {
            min: Duration::from_millis(100),
            max: Duration::from_mins(1),
        },
        Preset::Value("5s"),
        "How long anyone waits for a connection.",
    ),
    Key::new(
        "postgres.statement_timeout",
        Form::Span {
            min: Duration::from_millis(100),
            max: Duration::from_hours(1),
        },
        Preset::Value("30s"),
        "How long one statement may take.",
    ),
    Key::new(
        "postgres.notify",
        Form::Flag,
        Preset::Value("true"),
        "Whether processes wake each other by NOTIFY. They poll in any case.",
    ),
    Key::new(
        "postgres.pgbouncer",
        Form::Flag,
        Preset::Value("false"),
        "Whether the URLs lead to PgBouncer, which pools by transaction.",
    ),
    Key::new(
        "postgres.insecure_plain_text",
        Form::Flag,
        Preset::Value("false"),
        "Whether a URL may lead to another machine in plain text. Without it TLS with sslmode=verify-full is the default.",
    ),
    Key::new(
        "postgres.migrate_on_start",
        Form::Flag,
        Preset::Value("true"),
        "Whether migrations are applied when the process starts; otherwise `aftercommit migrate` applies them.",
    ),
];

impl PostgresSettings {
    /// Reads every key of the section. `None` when `url`, the value of `url_key`, is not that of a server, or when no URL
    /// of a server can be used.
    pub(crate) fn read(reading: &mut Reading<'_>, url_key: &Key, url: Option<GivenUrl>) -> Option<Self> {
        let [
            engine_key,
            migrate_key,
            handlers,
            engine,
            console,
            acquire,
            statement,
            notify,
            pgbouncer,
            insecure,
            on_start,
        ] = &KEYS;
        let engine_url = reading.parsed(engine_key, postgres_url::parse, GivenUrl::shown);
        let migrate_url = reading.parsed(migrate_key, postgres_url::parse, GivenUrl::shown);
        let handler_connections = reading.count(handlers);
        let engine_connections = reading.count(engine);
        let console_connections = reading.count(console);
        let acquire_timeout = reading.span(acquire);
        let statement_timeout = reading.span(statement);
        let notify = reading.flag(notify);
        let pgbouncer = reading.flag(pgbouncer);
        let insecure_plain_text = reading.flag(insecure);
        let migrate_on_start = reading.flag(on_start);

        let mut secured = |key: &Key, url: GivenUrl| {
            let secured = url.secured(insecure_plain_text);
            secured.map_err(|problem| reading.refuse("", key, &problem)).ok()
        };
        let engine_url = engine_url.map(|url| secured(engine_key, url));
        let migrate_url = migrate_url.map(|url| secured(migrate_key, url));
        let url = url.map(|url| secured(url_key, url))?;
        if pgbouncer && migrate_on_start && !reading.is_given(migrate_key) {
            reading.refuse(
                "",
                migrate_key,
                "is missing, but migrations cannot go through PgBouncer; give a direct connection, or set \
                 postgres.migrate_on_start to false",
            );
        }
        let url = url?;
        let engine_url = engine_url.unwrap_or_else(|| Some(url.clone()))?;
        let migrate_url = migrate_url.unwrap_or_else(|| Some(engine_url.clone()))?;
        Some(Self {
            url,
            engine_url,
            migrate_url,
            handler_connections,
            engine_connections,
            console_connections,
            acquire_timeout,
            statement_timeout,
            notify,
            pgbouncer,
            migrate_on_start,
        })
    }

    /// Refuses the URLs of single roles where there is no server: a forgotten `DATABASE_URL` would otherwise mean an
    /// empty SQLite file.
    pub(crate) fn refuse_roles(reading: &mut Reading<'_>, problem: &str) {
        let [engine_key, migrate_key, ..] = &KEYS;
        for key in [engine_key, migrate_key] {
            if reading.is_given(key) {
                reading.refuse("", key, problem);
            }
        }
    }

    /// What works but should be changed.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let [engine_key, migrate_key, ..] = &KEYS;
        let mut warnings = self.url.warnings("DATABASE_URL");
        if self.engine_url != self.url {
            warnings.extend(self.engine_url.warnings(&engine_key.name("").variable));
        }
        if self.migrate_url != self.engine_url {
            warnings.extend(self.migrate_url.warnings(&migrate_key.name("").variable));
        }
        warnings
    }
}
