//! What holds when nothing is given, and which source wins.

use aftercommit_platform_config::{
    Database, LogFormat, Rendering, SealingSettings, Settings, SmtpSecurity, Successes, Synchronous, reference,
    reference_entries,
};
use secrecy::ExposeSecret as _;
use std::{path::Path, time::Duration};

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn read(pairs: &[(&str, &str)], file: &str) -> Settings {
    Settings::from_sources(variables(pairs), Some((Path::new("aftercommit.toml"), file)))
        .unwrap_or_else(|errors| panic!("refused:\n{errors}"))
}

#[test]
fn nothing_has_to_be_configured() {
    let settings = Settings::from_sources([], None).unwrap();
    assert_eq!(
        settings.database,
        Database::Sqlite(".aftercommit/aftercommit.db".into())
    );
    assert_eq!(settings.http_addr, "127.0.0.1:9090".parse().unwrap());
    assert!(settings.mail.smtp.is_none());
    assert!(settings.amqp.is_none(), "the queue is in the database");
    assert_eq!(settings.mail.dir, Path::new(".aftercommit/mail"));
    assert_eq!(settings.data_dir.run_file(), Path::new(".aftercommit/run.json"));
    assert_eq!(settings.relay.batch_size, 256);
    assert_eq!(settings.relay.lease, Duration::from_secs(30));
    assert_eq!(settings.worker.concurrency, 20);
    assert_eq!(settings.worker.timeout, Duration::from_mins(1));
    assert_eq!(settings.shutdown.grace, Duration::from_secs(15));
    assert_eq!(settings.shutdown.cancel, Duration::from_secs(8));
    assert_eq!(settings.history.successes, Successes::All);
    assert_eq!(settings.history.retention, Duration::from_hours(14 * 24));
    assert_eq!(settings.log.format, LogFormat::Pretty);
    assert_eq!(settings.sqlite.synchronous, Synchronous::Full);
    assert!(settings.admin.token.is_none());
    assert!(
        matches!(settings.sealing, SealingSettings::OwnFile(path) if path == Path::new(".aftercommit/sealing.key"))
    );
}

#[test]
fn the_data_directory_moves_the_defaults() {
    let settings = read(&[("AFTERCOMMIT_DATA_DIR", "/srv/50%20/../data")], "");
    assert_eq!(
        settings.database,
        Database::Sqlite("/srv/50%20/../data/aftercommit.db".into())
    );
    assert_eq!(settings.mail.dir, Path::new("/srv/50%20/../data/mail"));
    assert_eq!(
        settings.data_dir.sealing_key_file(),
        Path::new("/srv/50%20/../data/sealing.key")
    );
    let shown = settings.describe(Rendering::Text);
    assert!(
        shown.contains("sqlite:///srv/50%2520/../data/aftercommit.db  (default)"),
        "{shown}"
    );
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "http_addr = \"0.0.0.0:80\"\n[relay]\nbatch_size = 10\nlease = \"10s\"\n";
    let settings = read(&[("AFTERCOMMIT_RELAY__BATCH_SIZE", "20")], file);
    assert_eq!(settings.relay.batch_size, 20);
    assert_eq!(settings.relay.lease, Duration::from_secs(10));
    assert_eq!(settings.http_addr.port(), 80);
    let source = |key: &str| {
        settings
            .effective_values()
            .iter()
            .find(|value| value.key == key)
            .map(|value| value.source.clone())
            .unwrap()
    };
    assert_eq!(source("AFTERCOMMIT_RELAY__BATCH_SIZE"), "environment");
    assert_eq!(source("AFTERCOMMIT_RELAY__LEASE"), "aftercommit.toml");
    assert_eq!(source("AFTERCOMMIT_RELAY__MAX_ATTEMPTS"), "default");
}

#[test]
fn a_file_may_use_the_names_of_the_environment() {
    let file = "DATABASE_URL = \"sqlite:/data/a.db\"\nAFTERCOMMIT_WORKER__CONCURRENCY = 7\nAFTERCOMMIT_DATA_DIR = \"d\"\n\
                AFTERCOMMIT_TOPICS__RECEIPTS__TIMEOUT = \"5s\"\n";
    let settings = read(&[], file);
    assert_eq!(settings.database, Database::Sqlite("/data/a.db".into()));
    assert_eq!(settings.worker.concurrency, 7);
    assert_eq!(settings.data_dir.path(), Path::new("d"));
    assert_eq!(settings.topics.of("receipts").timeout, Some(Duration::from_secs(5)));
}

#[test]
fn a_topic_is_the_same_in_capitals_and_in_its_own_name() {
    let file = "[topics.magic-link-email]\nconcurrency = 3\nmax_attempts = 4\n";
    let environment = [
        ("AFTERCOMMIT_TOPICS__MAGIC_LINK_EMAIL__CONCURRENCY", "50"),
        ("AFTERCOMMIT_TOPICS__MAGIC_LINK_EMAIL__BASE_DELAY", "1s"),
        ("AFTERCOMMIT_TOPICS__MAGIC_LINK_EMAIL__MAX_DELAY", "1h"),
    ];
    let topic = read(&environment, file).topics.of("magic-link-email");
    assert_eq!(topic.concurrency, Some(50));
    assert_eq!(topic.max_attempts, Some(4));
    assert_eq!(topic.base_delay, Some(Duration::from_secs(1)));
    assert_eq!(topic.max_delay, Some(Duration::from_hours(1)));
    assert_eq!(topic.timeout, None);
}

#[test]
fn a_topic_that_nobody_registered_is_named() {
    let settings = read(&[("AFTERCOMMIT_TOPICS__MAGIC_LINK_MAIL__CONCURRENCY", "5")], "");
    assert_eq!(settings.topics.check(&["magic-link-mail", "receipts"]), Ok(()));
    let errors = settings.topics.check(&["magic-link-email", "receipts"]).unwrap_err();
    insta::assert_snapshot!(errors, @"AFTERCOMMIT_TOPICS__MAGIC_LINK_MAIL__…: no topic has this name, did you mean AFTERCOMMIT_TOPICS__MAGIC_LINK_EMAIL__…?");
}

#[test]
fn every_form_of_an_smtp_server_is_understood() {
    for (url, host, port, security, login) in [
        (
            "smtp://127.0.0.1:2525",
            "127.0.0.1",
            2525,
            SmtpSecurity::PlainLoopback,
            None,
        ),
        ("smtp://localhost", "localhost", 25, SmtpSecurity::PlainLoopback, None),
        ("smtp://[::1]:1025/", "::1", 1025, SmtpSecurity::PlainLoopback, None),
        (
            "smtp://mail.example?tls=required",
            "mail.example",
            587,
            SmtpSecurity::StartTls,
            None,
        ),
        ("smtps://mail.example", "mail.example", 465, SmtpSecurity::Tls, None),
        (
            "smtp://mailpit:1025?tls=insecure-plain-text",
            "mailpit",
            1025,
            SmtpSecurity::InsecurePlainText,
            None,
        ),
        (
            "smtp://127.0.0.1?tls=insecure-plain-text",
            "127.0.0.1",
            25,
            SmtpSecurity::PlainLoopback,
            None,
        ),
        (
            "smtps://me%40acme:p%25w%2Fd@mail.example:9465",
            "mail.example",
            9465,
            SmtpSecurity::Tls,
            Some(("me@acme", "p%w/d")),
        ),
        (
            "smtps://me:p@w@mail.example",
            "mail.example",
            465,
            SmtpSecurity::Tls,
            Some(("me", "p@w")),
        ),
    ] {
        let smtp = read(&[("SMTP_URL", url), ("MAIL_FROM", "a@b.example")], "")
            .mail
            .smtp
            .unwrap();
        assert_eq!(
            (smtp.host.as_str(), smtp.port, smtp.security),
            (host, port, security),
            "{url}"
        );
        let found = smtp
            .credentials
            .as_ref()
            .map(|login| (login.username.as_str(), login.password.expose_secret()));
        assert_eq!(found, login, "{url}");
    }
}

#[test]
fn plain_text_to_another_machine_is_warned_of_without_its_password() {
    let warnings = |url: &str| read(&[("SMTP_URL", url), ("MAIL_FROM", "a@b.example")], "").warnings;
    insta::assert_snapshot!(
        warnings("smtp://mailpit:1025?tls=insecure-plain-text").join("\n"),
        @"SMTP_URL: e-mails go to mailpit without TLS, where everybody on the way can read and change them; smtps:// or tls=required closes it"
    );
    insta::assert_snapshot!(
        warnings("smtp://canary:canary@mailpit:1025?tls=insecure-plain-text").join("\n"),
        @"SMTP_URL: e-mails and the password go to mailpit without TLS, where everybody on the way can read and change them; smtps:// or tls=required closes it"
    );
    for url in [
        "smtp://127.0.0.1?tls=insecure-plain-text",
        "smtp://127.0.0.1",
        "smtp://mail.example?tls=required",
        "smtps://mail.example",
    ] {
        assert_eq!(warnings(url), Vec::<String>::new(), "{url}");
    }
    let shown = read(
        &[
            ("SMTP_URL", "smtp://mailpit:1025?tls=insecure-plain-text"),
            ("MAIL_FROM", "a@b.example"),
        ],
        "",
    )
    .describe(Rendering::Text);
    assert!(shown.contains("smtp://mailpit:1025?tls=insecure-plain-text"), "{shown}");
}

#[test]
fn a_file_or_a_url_without_a_password_holds_no_secret() {
    let read = |url: &str| read(&[("DATABASE_URL", url)], "").describe(Rendering::Text);
    for (url, shown) in [
        ("sqlite:app.db", "sqlite://app.db"),
        ("postgres://me@localhost/app", "postgres://me@localhost:5432/app"),
        (
            "postgresql://me:canary@[::1]:6432/app?sslmode=require",
            "postgres://me:‹redacted›@[::1]:6432/app?sslmode=require",
        ),
    ] {
        let text = read(url);
        assert!(
            text.contains(&format!("= {shown}  (environment)")) && !text.contains("canary"),
            "{text}"
        );
    }
}

#[test]
fn links_begin_with_the_public_url_without_its_last_slash() {
    assert_eq!(read(&[], "").public_url, None);
    for (given, expected) in [
        ("https://app.example.com", "https://app.example.com"),
        ("https://app.example.com/", "https://app.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("https://example.com/app/", "https://example.com/app"),
        ("HTTPS://App.Example.com:443/a b", "https://app.example.com/a%20b"),
    ] {
        let settings = read(&[("AFTERCOMMIT_HTTP__PUBLIC_URL", given)], "");
        assert_eq!(settings.public_url.as_deref(), Some(expected), "{given}");
    }
    let settings = read(&[], "[http]\npublic_url = \"https://app.example.com\"\n");
    assert_eq!(settings.public_url.as_deref(), Some("https://app.example.com"));
}

#[test]
fn senders_are_accepted_with_and_without_a_name() {
    for sender in [
        "a@b.example",
        "Acme <no-reply@acme.example>",
        "\"Acme, Inc.\" <x@acme.example>",
        "Zoë <z@b.example>",
    ] {
        assert_eq!(read(&[("MAIL_FROM", sender)], "").mail.from, sender);
    }
}

#[test]
fn sealing_keys_keep_their_order() {
    let (first, second) = ("A".repeat(43), format!("{}=", "B".repeat(43)));
    let keys = format!("2026-11:{first},old:{}", second.replace("B=", "A="));
    let settings = read(&[("AFTERCOMMIT_SEALING__KEYS", &keys)], "");
    let SealingSettings::Keys(keys) = settings.sealing else {
        panic!("not the given keys")
    };
    assert_eq!(
        keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(),
        ["2026-11", "old"]
    );
    assert_eq!(keys[0].key.expose_secret(), &[0; 32]);
}

#[test]
fn variables_of_others_are_none_of_our_business() {
    read(
        &[
            ("PATH", "/bin"),
            ("DATABASE_URLS", "x"),
            ("RUST_LOG", "debug"),
            ("AFTERCOMMIT_CONFIG", "x.toml"),
        ],
        "",
    );
}

#[test]
fn no_secret_is_shown() {
    let key = format!("k1:{}", "A".repeat(43));
    let settings = read(
        &[
            ("SMTP_URL", "smtps://canary-user:canary-pass@mail.example"),
            ("MAIL_FROM", "a@b.example"),
            ("AFTERCOMMIT_ADMIN__TOKEN", "canary-token-0123456789"),
            ("AFTERCOMMIT_SEALING__KEYS", &key),
            ("DATABASE_URL", "postgres://app:canary@localhost/app"),
            ("AMQP_URL", "amqps://canary-user:canary@mq.example/app"),
            (
                "AFTERCOMMIT_POSTGRES__ENGINE_URL",
                "postgres://engine:canary@localhost/app",
            ),
            (
                "AFTERCOMMIT_POSTGRES__MIGRATE_URL",
                "postgres://owner:canary@localhost/app",
            ),
        ],
        "",
    );
    let texts = [settings.describe(Rendering::Text), settings.describe(Rendering::Json)];
    for text in &texts {
        assert!(text.contains("smtps://‹redacted›@mail.example:465"), "{text}");
        assert!(text.contains("amqps://‹redacted›@mq.example:5671/app"), "{text}");
    }
    for text in texts
        .iter()
        .chain([&format!("{settings:?}").replace("canary-user", "")])
    {
        assert!(!text.contains("canary") && !text.contains("AAAA"), "{text}");
    }
}

#[test]
fn the_effective_values_are_exactly_the_keys_of_the_reference() {
    let settings = Settings::from_sources([], None).unwrap();
    let mut effective: Vec<_> = settings
        .effective_values()
        .iter()
        .map(|value| value.key.clone())
        .collect();
    let mut referenced: Vec<_> = reference_entries()
        .into_iter()
        .map(|entry| entry.key)
        .filter(|key| !key.contains("<TOPIC>"))
        .collect();
    effective.sort();
    referenced.sort();
    assert_eq!(effective, referenced);
}

#[test]
fn the_defaults_of_the_reference_hold_when_they_are_given() {
    let defaults: Vec<(String, String)> = reference_entries()
        .into_iter()
        .filter(|entry| !entry.default.starts_with("unset") && !entry.default.contains('<'))
        .map(|entry| (entry.key, entry.default))
        .chain([("MAIL_FROM".to_owned(), "Aftercommit <aftercommit@localhost>".to_owned())])
        .collect();
    assert!(defaults.len() > 15, "{defaults:?}");
    let given = Settings::from_sources(defaults, None).unwrap();
    let unset = Settings::from_sources([], None).unwrap();
    let values = |settings: &Settings| {
        settings
            .effective_values()
            .iter()
            .map(|value| (value.key.clone(), value.value.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&given), values(&unset));
}

#[test]
fn the_reference_is_complete() {
    insta::assert_snapshot!("reference", reference(Rendering::Text));
    insta::assert_snapshot!("reference_json", reference(Rendering::Json));
}

#[test]
fn the_effective_values_are_listed() {
    let file = "[log]\nformat = \"json\"\n[topics.receipts]\nconcurrency = 2\n";
    let settings = read(&[("SMTP_URL", "smtp://127.0.0.1:2525")], file);
    insta::assert_snapshot!("effective_values", settings.describe(Rendering::Text));
}
