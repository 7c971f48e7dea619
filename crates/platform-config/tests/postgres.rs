//! What is understood of a PostgreSQL server's URL and settings.

use aftercommit_platform_config::{Database, PostgresSettings, Settings, SslMode};
use secrecy::ExposeSecret as _;
use std::{path::Path, time::Duration};

fn read(pairs: &[(&str, &str)], file: &str) -> (PostgresSettings, Vec<String>) {
    let variables = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let settings = Settings::from_sources(variables, Some((Path::new("aftercommit.toml"), file)))
        .unwrap_or_else(|errors| panic!("refused:\n{errors}"));
    match settings.database {
        Database::Postgres(postgres) => (*postgres, settings.warnings),
        other => panic!("not a server: {other:?}"),
    }
}

fn of_url(url: &str) -> PostgresSettings {
    read(&[("DATABASE_URL", url)], "").0
}

#[test]
fn a_url_alone_is_enough() {
    let settings = of_url("postgres://app:secret@localhost/app");
    assert_eq!(settings.engine_url, settings.url);
    assert_eq!(settings.migrate_url, settings.url);
    assert_eq!(settings.handler_connections, 10);
    assert_eq!(settings.engine_connections, 4);
    assert_eq!(settings.console_connections, 2);
    assert_eq!(settings.acquire_timeout, Duration::from_secs(5));
    assert_eq!(settings.statement_timeout, Duration::from_secs(30));
    assert!(settings.notify && settings.migrate_on_start && !settings.pgbouncer);
}

#[test]
fn every_form_of_a_server_is_understood_and_says_how_it_is_protected() {
    for (url, host, mode, complete) in [
        (
            "postgres://app:secret@localhost/app",
            "localhost",
            SslMode::Prefer,
            "postgres://app:secret@localhost/app?sslmode=prefer",
        ),
        (
            "postgresql://127.0.0.1:6432/app?sslmode=disable",
            "127.0.0.1",
            SslMode::Disable,
            "postgresql://127.0.0.1:6432/app?sslmode=disable",
        ),
        (
            "POSTGRES://app@[::1]/app",
            "::1",
            SslMode::Prefer,
            "postgres://app@[::1]/app?sslmode=prefer",
        ),
        (
            "postgres://app:p%40%25%2F@db.example:5433/app",
            "db.example",
            SslMode::VerifyFull,
            "postgres://app:p%40%25%2F@db.example:5433/app?sslmode=verify-full",
        ),
        (
            "postgres://app@db.example/app?sslmode=require&sslrootcert=/etc/ca.pem",
            "db.example",
            SslMode::Require,
            "postgres://app@db.example/app?sslrootcert=%2Fetc%2Fca.pem&sslmode=require",
        ),
        (
            "postgres://app@10.0.0.5/app?sslmode=verify-ca",
            "10.0.0.5",
            SslMode::VerifyCa,
            "postgres://app@10.0.0.5/app?sslmode=verify-ca",
        ),
        (
            "postgres:///app?host=/run/postgresql",
            "/run/postgresql",
            SslMode::Prefer,
            "postgres:///app?host=%2Frun%2Fpostgresql&sslmode=prefer",
        ),
        (
            "postgres://app@%2Frun%2Fpostgresql/app",
            "/run/postgresql",
            SslMode::Prefer,
            "postgres://app@%2Frun%2Fpostgresql/app?sslmode=prefer",
        ),
    ] {
        let found = of_url(url).url;
        assert_eq!(
            (found.host(), found.ssl_mode(), found.secret().expose_secret()),
            (host, mode, complete),
            "{url}"
        );
    }
}

#[test]
fn roles_and_everything_else_may_come_from_the_environment_or_the_file() {
    let file = "database_url = \"postgres://app@localhost/app\"\n[postgres]\nengine_url = \"postgres://engine@localhost/app\"\n\
                handler_connections = 3\nnotify = false\npgbouncer = true\nstatement_timeout = \"10s\"\n";
    let pairs = [
        ("AFTERCOMMIT_POSTGRES__MIGRATE_URL", "postgres://owner@localhost/app"),
        ("AFTERCOMMIT_POSTGRES__HANDLER_CONNECTIONS", "30"),
        ("AFTERCOMMIT_POSTGRES__MIGRATE_ON_START", "false"),
    ];
    let (settings, warnings) = read(&pairs, file);
    let roles = [&settings.url, &settings.engine_url, &settings.migrate_url];
    assert_eq!(
        roles.map(ToString::to_string),
        ["app", "engine", "owner"].map(|role| format!("postgres://{role}@localhost:5432/app"))
    );
    assert_eq!(settings.handler_connections, 30);
    assert_eq!(settings.statement_timeout, Duration::from_secs(10));
    assert!(!settings.notify && settings.pgbouncer && !settings.migrate_on_start);
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn migrations_follow_the_role_of_the_engine() {
    let pairs = [
        ("DATABASE_URL", "postgres://app@localhost/app"),
        ("AFTERCOMMIT_POSTGRES__ENGINE_URL", "postgres://engine@localhost/app"),
    ];
    let (settings, _) = read(&pairs, "");
    assert_eq!(settings.migrate_url, settings.engine_url);
}

#[test]
fn plain_text_to_another_machine_has_to_be_allowed_and_is_warned_of() {
    let allowed = |url: &str| {
        let pairs = [
            ("DATABASE_URL", url),
            ("AFTERCOMMIT_POSTGRES__INSECURE_PLAIN_TEXT", "true"),
        ];
        let (settings, warnings) = read(&pairs, "");
        (settings.url.ssl_mode(), warnings.join("\n"))
    };
    let (mode, warnings) = allowed("postgres://me:canary@db/app");
    assert_eq!(mode, SslMode::Prefer);
    insta::assert_snapshot!(warnings, @"DATABASE_URL: the password and all data go to db without TLS whenever somebody on the way wants it so; sslmode=verify-full closes it");
    let (mode, warnings) = allowed("postgres://me:canary@db/app?sslmode=disable");
    assert_eq!(mode, SslMode::Disable);
    insta::assert_snapshot!(warnings, @"DATABASE_URL: the password and all data go to db without TLS, where everybody on the way can read and change them; sslmode=verify-full closes it");
    for url in [
        "postgres://me:canary@localhost/app?sslmode=disable",
        "postgres://me:canary@db/app?sslmode=verify-full",
    ] {
        assert_eq!(allowed(url).1, "", "{url}");
    }
}

#[test]
fn an_unchecked_certificate_and_parameters_of_other_clients_are_warned_of() {
    let url = "postgres://me:canary@db.example/app?sslmode=require&channel_binding=require&schema=canary";
    let engine = "postgres://engine:canary@db.example/app?connect_timeout=10";
    let pairs = [("DATABASE_URL", url), ("AFTERCOMMIT_POSTGRES__ENGINE_URL", engine)];
    let (settings, warnings) = read(&pairs, "");
    insta::assert_snapshot!(warnings.join("\n"), @r"
    DATABASE_URL: its parameter channel_binding has no effect here
    DATABASE_URL: its parameter schema has no effect here
    DATABASE_URL: the password and all data go to db.example over TLS without knowing who answers; sslmode=verify-full closes it
    AFTERCOMMIT_POSTGRES__ENGINE_URL: its parameter connect_timeout has no effect here
    ");
    assert!(settings.url.secret().expose_secret().ends_with("/app?sslmode=require"));
}

#[test]
fn no_password_is_shown() {
    let settings = of_url("postgres://me:canary@localhost/app");
    assert!(settings.url.secret().expose_secret().contains("canary"));
    for text in [
        format!("{settings:?}"),
        format!("{:#?}", Database::Postgres(settings.clone().into())),
        settings.url.to_string(),
    ] {
        assert!(
            text.contains("me:‹redacted›@localhost") && !text.contains("canary"),
            "{text}"
        );
    }
}
