//! What is refused, and the exact line that says so.

use aftercommit_platform_config::{CONFIG_EXIT_CODE, ConfigErrors, Settings, reference_entries};
use std::path::Path;

fn refusal(pairs: &[(&str, &str)], file: Option<&str>) -> ConfigErrors {
    let variables = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let file = file.map(|text| (Path::new("aftercommit.toml"), text));
    match Settings::from_sources(variables, file) {
        Ok(_) => panic!("accepted {pairs:?} {file:?}"),
        Err(errors) => errors,
    }
}

/// One block per input: the input, then the lines that refuse it.
fn table(cases: &[(&str, &str)]) -> String {
    let blocks = cases.iter().map(|(key, value)| {
        let lines = refusal(&[(key, value)], None).to_string().replace('\n', "\n  ");
        format!("{key}={value:?}\n  {lines}\n")
    });
    blocks.collect()
}

#[test]
fn a_number_out_of_range_is_refused_with_the_range() {
    let values = [
        "0",
        "-1",
        "1000000000",
        "1e3",
        "1.5",
        "ten",
        "99999999999999999999999",
        "",
        " 5",
        "5\n",
    ];
    insta::assert_snapshot!(
        "numbers",
        table(&values.map(|value| ("AFTERCOMMIT_RELAY__BATCH_SIZE", value)))
    );
}

#[test]
fn every_number_has_a_range() {
    let numbers = reference_entries()
        .into_iter()
        .filter(|entry| entry.accepted.starts_with("a whole number"));
    let mut seen = 0;
    for entry in numbers {
        seen += 1;
        let key = entry.key.replace("<TOPIC>", "RECEIPTS");
        let below = if entry.accepted.starts_with("a whole number from 0") {
            "-1"
        } else {
            "0"
        };
        for value in [below, "-1", "1000000000"] {
            let line = refusal(&[(&key, value)], None).to_string();
            assert!(
                line.starts_with(&key) && line.ends_with(&format!("expected {}", entry.accepted)),
                "{line}"
            );
        }
    }
    assert!(seen >= 7, "only {seen} numbers");
}

#[test]
fn a_duration_in_another_form_is_refused_with_the_accepted_forms() {
    let values = ["5", "5 minutes", "-1s", "1e9h", "", "1.5s", "0s", "2h"];
    insta::assert_snapshot!(
        "durations",
        table(&values.map(|value| ("AFTERCOMMIT_RELAY__LEASE", value)))
    );
}

#[test]
fn a_database_that_no_provider_serves_is_refused() {
    let values = [
        "mysql://db.example/app",
        "/var/lib/app.db",
        "sqlite::memory:",
        "sqlite://",
        "sqlite:///var/lib/",
        "sqlite://me:canary@db.example/app",
        "sqlite://../app.db",
        "sqlite://app.db?mode=ro",
        "sqlite://a%ff.db",
        "sqlite://a%0a.db",
        "sqlite://app.db\n",
    ];
    insta::assert_snapshot!("databases", table(&values.map(|value| ("DATABASE_URL", value))));
}

#[test]
fn the_url_of_a_postgresql_server_is_refused_unless_it_can_mean_only_one_thing() {
    let values = [
        "postgres:/x",
        "postgres:///app",
        "postgres://db.example",
        "postgres://db.example/",
        "postgres://db.example/app/canary",
        "postgres://db.example/a%00b",
        "postgres://db.example:99999/app",
        "postgres://db.example:0/app",
        "postgres://db.example:canary/app",
        "postgres://me:can@ary@db.example/app",
        "postgres://me:can%ary@db.example/app",
        "postgres://me:canary%4@db.example/app",
        "postgres://me:can/ary@db.example/app",
        "postgres://me:can#ary@db.example/app",
        "postgres://me:12?canary@db.example/app",
        "postgres://me:%ff@db.example/app",
        "postgres://me:%00@db.example/app",
        "postgres://:canary@db.example/app",
        "postgres://me:@db.example/app",
        "postgres://a.example,b.example/app",
        "postgres://d b.example/app",
        "postgres://db%0a.example/app",
        "postgres://db.example/app?sslmode=canary",
        "postgres://db.example/app?canary=1",
        "postgres://db.example/app?password=canary",
        "postgres://db.example/app?host=/run/postgresql",
        "postgres:///app?host=db.example",
        "postgres://db.example/app#canary",
        "postgres://db.example/app\n",
        "postgres//db.example/app",
        "postgre://db.example/app",
    ];
    insta::assert_snapshot!("postgres_urls", table(&values.map(|value| ("DATABASE_URL", value))));
}

#[test]
fn another_machine_is_not_reached_in_plain_text_unless_it_is_allowed() {
    let values =
        ["disable", "allow", "prefer"].map(|mode| format!("postgres://me:canary@db.example/app?sslmode={mode}"));
    let cases: Vec<_> = values.iter().map(|value| ("DATABASE_URL", value.as_str())).collect();
    insta::assert_snapshot!("plain_text", table(&cases));
    for key in ["AFTERCOMMIT_POSTGRES__ENGINE_URL", "AFTERCOMMIT_POSTGRES__MIGRATE_URL"] {
        let pairs = [("DATABASE_URL", "postgres://localhost/app"), (key, values[0].as_str())];
        let line = refusal(&pairs, None).to_string();
        assert!(line.starts_with(key) && line.contains("plain text"), "{line}");
    }
}

#[test]
fn settings_of_postgresql_are_refused_out_of_range_and_in_another_form() {
    let cases = [
        ("AFTERCOMMIT_POSTGRES__HANDLER_CONNECTIONS", "0"),
        ("AFTERCOMMIT_POSTGRES__ENGINE_CONNECTIONS", "1001"),
        ("AFTERCOMMIT_POSTGRES__CONSOLE_CONNECTIONS", "two"),
        ("AFTERCOMMIT_POSTGRES__ACQUIRE_TIMEOUT", "5"),
        ("AFTERCOMMIT_POSTGRES__STATEMENT_TIMEOUT", "2h"),
        ("AFTERCOMMIT_POSTGRES__NOTIFY", "yes"),
        ("AFTERCOMMIT_POSTGRES__PGBOUNCER", "1"),
        ("AFTERCOMMIT_POSTGRES__INSECURE_PLAIN_TEXT", "TRUE"),
        ("AFTERCOMMIT_POSTGRES__MIGRATE_ON_START", ""),
        ("AFTERCOMMIT_POSTGRES__ENGINE_URL", "sqlite://app.db"),
        ("AFTERCOMMIT_POSTGRES__ENGINE_URL", "canary"),
        (
            "AFTERCOMMIT_POSTGRES__MIGRATE_URL",
            "postgres://me:c@nary@db.example/app",
        ),
        ("AFTERCOMMIT_POSTGRES__POOL_SIZE", "10"),
    ];
    insta::assert_snapshot!("postgres_settings", table(&cases));
    let file = "[postgres]\nnotify = 1\npgbouncer = \"no\"\nhandler_connections = true\n";
    insta::assert_snapshot!("postgres_file", refusal(&[], Some(file)));
}

#[test]
fn settings_of_postgresql_that_do_not_fit_together_are_refused() {
    let (server, engine) = ("postgres://localhost/app", "AFTERCOMMIT_POSTGRES__ENGINE_URL");
    let forgotten = refusal(&[(engine, server)], None);
    let another = refusal(&[("DATABASE_URL", "sqlite://app.db"), (engine, server)], None);
    let pooled = refusal(
        &[("DATABASE_URL", server), ("AFTERCOMMIT_POSTGRES__PGBOUNCER", "true")],
        None,
    );
    let mistyped = refusal(&[("DATABASE_URL", "postgres://localhost"), (engine, server)], None);
    assert_eq!(mistyped.problems().len(), 1, "{mistyped}");
    insta::assert_snapshot!("postgres_combinations", format!("{forgotten}\n{another}\n{pooled}"));
}

#[test]
fn a_storage_that_is_neither_a_folder_nor_a_bucket_is_refused() {
    let cases = [
        "s3:bucket",
        "s3://",
        "s3://Bucket",
        "s3://my_bucket",
        "s3://-bucket",
        "s3://key:secret@bucket",
        "s3://bucket?region=eu-central-1",
        "s3://bucket//x",
        "s3://bucket/../x",
        "s3://bucket/a b",
        "https://storage.example/bucket",
        "storage",
        "file://",
        "file:///",
        "file://user@host/folder",
        "file:///var/%ff",
        "file:///var/../etc",
        "file:///var?x=1",
    ];
    insta::assert_snapshot!("storage", table(&cases.map(|url| ("STORAGE_URL", url))));
}

#[test]
fn an_smtp_server_without_protection_is_refused() {
    let values = [
        "smtp://mail.example",
        "smtp://127.1:2525",
        "smtp://localhost.example",
        "smtp://mail.example?tls=opportunistic",
        "smtp://mail.example:99999?tls=required",
        "smtp://127.0.0.1:0",
        "smtps://mail%0a.example",
        "smtps://mäil.example",
        "smtp://",
        "mail.example:25",
        "http://mail.example",
        "smtps://me@mail.example",
        "smtps://:canary@mail.example",
        "smtps://me:can/ary@mail.example",
        "smtps://me:canary@mail.example/path",
        "smtps://me:%ff@mail.example",
        "smtps://me:canary#1@mail.example",
        "smtps://mail.example?tls=insecure-plain-text",
        "smtp://mail.example?tls=insecure-plain-text&x=1",
    ];
    insta::assert_snapshot!("smtp", table(&values.map(|value| ("SMTP_URL", value))));
}

#[test]
fn a_public_url_that_links_cannot_begin_with_is_refused() {
    let values = [
        "app.example.com",
        "ftp://app.example.com",
        "mailto:a@b.example",
        "https://",
        "https://app.example.com:0",
        "https://app.example.com:99999",
        "https://canary@app.example.com",
        "https://me:canary@app.example.com",
        "https://app.example.com/?canary=1",
        "https://app.example.com/#canary",
        "https://app.example.com/\n",
        "",
    ];
    insta::assert_snapshot!(
        "public_urls",
        table(&values.map(|value| ("AFTERCOMMIT_HTTP__PUBLIC_URL", value)))
    );
}

#[test]
fn another_machine_needs_a_sender() {
    insta::assert_snapshot!("sender_missing", refusal(&[("SMTP_URL", "smtps://mail.example")], None));
}

#[test]
fn a_bad_sender_is_refused() {
    let values = [
        "acme",
        "a@b@c",
        "Acme <>",
        "Acme, Inc. <a@b.example>",
        "a b@c.example",
        "<a@b",
        "\"a\"b\" <a@b.example>",
    ];
    insta::assert_snapshot!("senders", table(&values.map(|value| ("MAIL_FROM", value))));
}

#[test]
fn other_bad_values_are_refused() {
    let long_id = format!("{}:{}", "a".repeat(33), "A".repeat(43));
    let twice = format!("a:{0},a:{0}", "A".repeat(43));
    let cases = [
        ("HTTP_ADDR", "9090"),
        ("HTTP_ADDR", "example.com:80"),
        ("HTTP_ADDR", "127.0.0.1:99999"),
        ("AFTERCOMMIT_LOG__FORMAT", "xml"),
        ("AFTERCOMMIT_LOG__FILTER", ""),
        ("AFTERCOMMIT_HISTORY__SUCCESSES", "ALL"),
        ("AFTERCOMMIT_SQLITE__SYNCHRONOUS", "off"),
        ("AFTERCOMMIT_ADMIN__TOKEN", "canary"),
        ("AFTERCOMMIT_ADMIN__TOKEN", "canary canary canary"),
        ("AFTERCOMMIT_SEALING__KEYS", "canary"),
        ("AFTERCOMMIT_SEALING__KEYS", "k1:canary"),
        ("AFTERCOMMIT_SEALING__KEYS", ","),
        ("AFTERCOMMIT_SEALING__KEYS", &long_id),
        ("AFTERCOMMIT_SEALING__KEYS", &twice),
        ("AFTERCOMMIT_DATA_DIR", ""),
    ];
    insta::assert_snapshot!("others", table(&cases));
}

#[test]
fn combinations_that_cannot_hold_are_refused() {
    let key = format!("k1:{}", "A".repeat(43));
    let both = [
        ("AFTERCOMMIT_SEALING__KEYS", key.as_str()),
        ("AFTERCOMMIT_SEALING__KEYS_FILE", "keys"),
    ];
    let delays = [
        ("AFTERCOMMIT_TOPICS__RECEIPTS__BASE_DELAY", "10s"),
        ("AFTERCOMMIT_TOPICS__RECEIPTS__MAX_DELAY", "5s"),
    ];
    insta::assert_snapshot!(
        "combinations",
        format!("{}\n{}", refusal(&both, None), refusal(&delays, None))
    );
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let names = [
        "AFTERCOMMIT_RELAY__BATCHSIZE",
        "AFTERCOMMIT_RELAY_BATCH_SIZE",
        "AFTERCOMMIT_OUTBX__BATCH_SIZE",
        "AFTERCOMMIT_DATADIR",
        "AFTERCOMMIT_CONFG",
        "AFTERCOMMIT_FROBNICATE",
        "AFTERCOMMIT_",
        "aftercommit_relay__lease",
        "AFTERCOMMIT_TOPICS__RECEIPTS__CONCURENCY",
        "AFTERCOMMIT_TOPICS____TIMEOUT",
        "AFTERCOMMIT_TOPICS__receipts__TIMEOUT",
        "AFTERCOMMIT_RELAY__LEASE\nAFTERCOMMIT_RELAY__LEASE: forged",
    ];
    insta::assert_snapshot!("unknown_variables", table(&names.map(|name| (name, "canary"))));
}

#[test]
fn an_unknown_key_of_the_file_is_refused_with_the_nearest_one() {
    let file = "datbase_url = \"canary\"\nAFTERCOMMIT_RELAY__LEESE = 1\nfrobnicate = true\nAFTERCOMMIT_CONFIG = \"x\"\n\
                [relay]\nbatch = 1\n[relay.lease]\nx = 1\n[rely]\n[worker]\n[topics.receipts]\nconcurency = 1\n\
                [topics]\nx = 1\n[a.b.c.d]\ne = []\n";
    insta::assert_snapshot!("unknown_file_keys", refusal(&[], Some(file)));
}

#[test]
fn a_value_of_the_wrong_kind_is_refused() {
    let file = "http_addr = true\n[relay]\nbatch_size = 1.5\nlease = 30\nidle_poll = [\"1s\"]\nmax_attempts = nan\n\
                [worker]\ntimeout = 2026-11-23T10:00:00Z\nconcurrency = -9223372036854775808\n";
    insta::assert_snapshot!("wrong_kinds", refusal(&[], Some(file)));
}

#[test]
fn a_key_under_two_names_is_refused() {
    let file = "DATABASE_URL = \"sqlite:a\"\ndatabase_url = \"sqlite:b\"\n[topics.a-b]\ntimeout = \"1s\"\n[topics.a_b]\ntimeout = \"2s\"\n";
    insta::assert_snapshot!("given_twice", refusal(&[], Some(file)));
}

#[test]
fn a_broken_file_is_refused_without_quoting_it() {
    let files = [
        "smtp_url = \"canary",
        "a = 1\na = 2",
        "canary",
        "[relay\nlease = 1",
        "x = 1\n\n\ny = = 2",
    ];
    let text = files.map(|file| refusal(&[], Some(file)).to_string()).join("\n");
    insta::assert_snapshot!("broken_files", text);
}

#[test]
fn all_problems_are_reported_at_once() {
    let errors = refusal(
        &[
            ("AFTERCOMMIT_RELAY__LEASE", "5"),
            ("HTTP_ADDR", "x"),
            ("AFTERCOMMIT_NOPE", "1"),
            ("AMQP_URL", "amqp://x"),
        ],
        Some("[worker]\nconcurrency = 0\n"),
    );
    assert_eq!(errors.exit_code(), 78);
    assert_eq!(errors.exit_code(), CONFIG_EXIT_CODE);
    assert_eq!(errors.problems().len(), 5);
    insta::assert_snapshot!("all_at_once", errors);
}

#[test]
fn no_value_of_any_key_is_repeated() {
    let keys = reference_entries()
        .into_iter()
        .map(|entry| entry.key.replace("<TOPIC>", "RECEIPTS"));
    for key in keys {
        for value in [
            "x://canary:canary@canary:99999/?canary#canary\u{7}",
            "canary\ncanary",
            "\u{202e}canary ",
        ] {
            let variables = [(key.clone(), value.to_owned())];
            let Err(errors) = Settings::from_sources(variables, None) else {
                panic!("{key} accepts {value:?}")
            };
            let debug = format!("{errors:?}");
            assert_eq!(errors.to_string().lines().count(), errors.problems().len());
            assert!(
                !errors.to_string().contains("canary") && !debug.contains("canary"),
                "{debug}"
            );
        }
    }
}
