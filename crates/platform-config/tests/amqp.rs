//! What is understood and what is refused of a RabbitMQ server's URL and settings.

use aftercommit_platform_config::{AmqpCertificates, AmqpSecurity, AmqpSettings, ConfigErrors, Rendering, Settings};
use secrecy::ExposeSecret as _;
use std::{path::Path, time::Duration};

const KEYS: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const SERVER: (&str, &str) = ("DATABASE_URL", "postgres://app@localhost/app");

fn load(pairs: &[(&str, &str)], file: &str) -> Result<Settings, ConfigErrors> {
    load_without_keys(&[pairs, &[("AFTERCOMMIT_SEALING__KEYS", KEYS)]].concat(), file)
}

fn load_without_keys(pairs: &[(&str, &str)], file: &str) -> Result<Settings, ConfigErrors> {
    let variables = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::from_sources(variables, Some((Path::new("aftercommit.toml"), file)))
}

#[test]
fn processes_that_share_a_broker_need_the_same_keys() {
    let pairs = [SERVER, ("AMQP_URL", "amqp://localhost")];
    let error = load_without_keys(&pairs, "").unwrap_err().to_string();
    assert_eq!(
        error,
        "AFTERCOMMIT_SEALING__KEYS: is missing, and with AMQP_URL all processes need the same keys; expected id:key,id2:key2 \
         with each key 32 bytes in base64, the one that seals first"
    );
    assert!(
        load_without_keys(&[SERVER], "").is_ok(),
        "without a broker a process makes its own"
    );
}

fn read(pairs: &[(&str, &str)], file: &str) -> (AmqpSettings, Vec<String>) {
    let settings = load(pairs, file).unwrap_or_else(|errors| panic!("refused:\n{errors}"));
    let amqp = settings.amqp.unwrap_or_else(|| panic!("no server in {pairs:?}"));
    (amqp, settings.warnings)
}

fn of_url(url: &str) -> AmqpSettings {
    read(&[SERVER, ("AMQP_URL", url)], "").0
}

/// One block per input: the input, then the lines that refuse it.
fn table<'a>(cases: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let blocks = cases.into_iter().map(|(key, value)| {
        let errors = load(&[SERVER, ("AMQP_URL", "amqps://me:it@mq.example"), (key, value)], "").map(|_| ());
        let lines = match errors {
            Err(errors) => errors.to_string(),
            Ok(()) => panic!("{key} accepts {value:?}"),
        };
        let without_key = lines.replace("AMQP_URL: ", "").replace("percent-encoded", "");
        assert!(!without_key.contains("canary"), "{lines}");
        assert_eq!(lines.lines().count(), 1, "{lines}");
        format!("{key}={value:?}\n  {lines}\n")
    });
    blocks.collect()
}

#[test]
fn a_url_alone_is_enough() {
    let settings = of_url("amqp://localhost");
    assert_eq!(settings.prefix, "aftercommit");
    assert!(settings.ordered_topics.is_empty());
    assert_eq!((settings.partitions, settings.max_length), (4, 0));
    assert!(settings.declare && !settings.publish_events);
    assert_eq!(settings.heartbeat, Duration::from_secs(4));
    assert_eq!(settings.connect_timeout, Duration::from_secs(5));
    assert_eq!(settings.confirm_timeout, Duration::from_secs(9));
    assert_eq!(settings.certificates, AmqpCertificates::default());
}

#[test]
fn every_form_of_a_server_is_understood_and_says_how_it_is_protected() {
    use AmqpSecurity::{InsecurePlainText, PlainLoopback, Tls};
    for (url, host, port, vhost, login, security) in [
        (
            "amqp://localhost",
            "localhost",
            5672,
            "/",
            ("guest", "guest"),
            PlainLoopback,
        ),
        (
            "amqp://LOCALHOST/",
            "LOCALHOST",
            5672,
            "/",
            ("guest", "guest"),
            PlainLoopback,
        ),
        (
            "AMQP://127.0.0.1:5673/%2f",
            "127.0.0.1",
            5673,
            "/",
            ("guest", "guest"),
            PlainLoopback,
        ),
        (
            "amqp://me:it@[::1]/shop",
            "::1",
            5672,
            "shop",
            ("me", "it"),
            PlainLoopback,
        ),
        (
            "amqp://me:it@127.0.0.1/shop?tls=insecure-plain-text",
            "127.0.0.1",
            5672,
            "shop",
            ("me", "it"),
            PlainLoopback,
        ),
        ("amqps://me:it@mq.example", "mq.example", 5671, "/", ("me", "it"), Tls),
        ("amqps://localhost", "localhost", 5671, "/", ("guest", "guest"), Tls),
        (
            "amqps://me%40shop:p%40%25%2F@mq.example:443/sh%6Fp%2Ftest%3F",
            "mq.example",
            443,
            "shop/test?",
            ("me@shop", "p@%/"),
            Tls,
        ),
        (
            "amqps://me:p:it@10.0.0.5/..",
            "10.0.0.5",
            5671,
            "..",
            ("me", "p:it"),
            Tls,
        ),
        (
            "amqp://me:it@mq/shop?tls=insecure-plain-text",
            "mq",
            5672,
            "shop",
            ("me", "it"),
            InsecurePlainText,
        ),
        (
            "amqp://me:it@mq?tls=insecure-plain-text",
            "mq",
            5672,
            "/",
            ("me", "it"),
            InsecurePlainText,
        ),
    ] {
        let server = of_url(url).server;
        assert_eq!(
            (
                server.host.as_str(),
                server.port,
                server.vhost.as_str(),
                server.security
            ),
            (host, port, vhost, security),
            "{url}"
        );
        assert_eq!((server.user.as_str(), server.password.expose_secret()), login, "{url}");
        // What is shown could be given again, but for the login.
        let shown = server.to_string().replace("‹redacted›", "me:it");
        let again = of_url(&shown).server;
        assert_eq!(
            (again.host, again.port, again.vhost, again.security),
            (server.host, port, server.vhost, security),
            "{shown}"
        );
    }
}

#[test]
fn the_url_of_a_server_is_refused_unless_it_can_mean_only_one_thing() {
    let values = [
        "mq.example:5672",
        "amqp:mq.example",
        "amqp//mq.example",
        "amqp",
        "http://mq.example",
        "amqp+tls://mq.example",
        "amqps://",
        "amqps:///shop",
        "amqps://me:canary@/shop",
        "amqps://me:canary@mq.example:99999",
        "amqps://me:canary@mq.example:0",
        "amqps://me:canary@mq.example:canary",
        "amqps://me:can@ary@mq.example",
        "amqps://me:can%ary@mq.example",
        "amqps://me:canary%4@mq.example",
        "amqps://me:can/ary@mq.example",
        "amqps://me:can#ary@mq.example",
        "amqps://me:can?ary@mq.example",
        "amqps://me:%ff@mq.example",
        "amqps://me:%00@mq.example",
        "amqps://:canary@mq.example",
        "amqps://me:@mq.example",
        "amqps://canary@mq.example",
        "amqps://mq.example",
        "amqps://me:canary@a.example,b.example",
        "amqps://me:canary@m q.example",
        "amqps://me:canary@mq%0a.example",
        "amqps://me:canary@mäil.example",
        "amqps://me:canary@mq.example/a/canary",
        "amqps://me:canary@mq.example/a%00b",
        "amqps://me:canary@mq.example/%ff",
        "amqps://me:canary@mq.example/100%",
        "amqps://me:canary@mq.example/shop#canary",
        "amqps://me:canary@mq.example/shop?heartbeat=10",
        "amqps://me:canary@mq.example/shop?",
        "amqps://me:canary@mq.example/shop?tls=insecure-plain-text",
        "amqp://me:canary@mq.example/shop",
        "amqp://me:canary@127.1",
        "amqp://me:canary@localhost.example",
        "amqp://me:canary@mq.example/shop?tls=required",
        "amqp://me:canary@mq.example/shop?tls=insecure-plain-text&x=1",
        "amqp://me:canary@mq.example/shop?tls=Insecure-Plain-Text",
        "amqps://me:canary@mq.example/shop\n",
        " amqps://me:canary@mq.example/shop",
        "",
    ];
    insta::assert_snapshot!("urls", table(values.map(|value| ("AMQP_URL", value))));
    let long = format!("amqps://me:canary@mq.example/{}", "a".repeat(256));
    let line = load(&[SERVER, ("AMQP_URL", &long)], "").unwrap_err().to_string();
    assert!(
        line.starts_with("AMQP_URL: has a vhost of more than 255 bytes;"),
        "{line}"
    );
}

#[test]
fn the_queue_on_rabbitmq_needs_a_postgresql_database() {
    let url = ("AMQP_URL", "amqps://me:canary@mq.example");
    let forgotten = load(&[url], "").unwrap_err();
    let another = load(&[url, ("DATABASE_URL", "sqlite://app.db")], "").unwrap_err();
    let in_file = load(&[], "amqp_url = \"amqp://localhost\"\n").unwrap_err();
    insta::assert_snapshot!(format!("{forgotten}\n{another}\n{in_file}"), @r"
    AMQP_URL: is given, but the queue on RabbitMQ needs a postgres: DATABASE_URL; expected DATABASE_URL=postgres://user:password@host:port/database beside it, or it to be unset
    AMQP_URL: is given, but the queue on RabbitMQ needs a postgres: DATABASE_URL; expected DATABASE_URL=postgres://user:password@host:port/database beside it, or it to be unset
    amqp_url in aftercommit.toml: is given, but the queue on RabbitMQ needs a postgres: DATABASE_URL; expected DATABASE_URL=postgres://user:password@host:port/database beside it, or it to be unset
    ");
    let mistyped = load(&[url, ("DATABASE_URL", "postgre://localhost/app")], "").unwrap_err();
    assert_eq!(mistyped.problems().len(), 1, "{mistyped}");
    assert!(mistyped.to_string().starts_with("DATABASE_URL: "), "{mistyped}");
}

#[test]
fn settings_are_refused_out_of_range_and_in_another_form() {
    let long = "a".repeat(41);
    let long_topic = "a".repeat(121);
    let cases = [
        ("AFTERCOMMIT_AMQP__PREFIX", ""),
        ("AFTERCOMMIT_AMQP__PREFIX", "Shop"),
        ("AFTERCOMMIT_AMQP__PREFIX", "canary/canary"),
        ("AFTERCOMMIT_AMQP__PREFIX", "canäry"),
        ("AFTERCOMMIT_AMQP__PREFIX", long.as_str()),
        ("AFTERCOMMIT_AMQP__PREFIX", "amq"),
        ("AFTERCOMMIT_AMQP__PREFIX", "amq.canary"),
        ("AFTERCOMMIT_AMQP__PREFIX", "shop\n"),
        ("AFTERCOMMIT_AMQP__ORDERED_TOPICS", ""),
        ("AFTERCOMMIT_AMQP__ORDERED_TOPICS", ","),
        ("AFTERCOMMIT_AMQP__ORDERED_TOPICS", "receipts,"),
        ("AFTERCOMMIT_AMQP__ORDERED_TOPICS", "canary,canary"),
        ("AFTERCOMMIT_AMQP__ORDERED_TOPICS", "Canary"),
        ("AFTERCOMMIT_AMQP__ORDERED_TOPICS", "canary--canary"),
        ("AFTERCOMMIT_AMQP__ORDERED_TOPICS", "canary;canary"),
        ("AFTERCOMMIT_AMQP__ORDERED_TOPICS", long_topic.as_str()),
        ("AFTERCOMMIT_AMQP__PARTITIONS", "0"),
        ("AFTERCOMMIT_AMQP__PARTITIONS", "65"),
        ("AFTERCOMMIT_AMQP__MAX_LENGTH", "-1"),
        ("AFTERCOMMIT_AMQP__MAX_LENGTH", "100000001"),
        ("AFTERCOMMIT_AMQP__MAX_LENGTH", "1e6"),
        ("AFTERCOMMIT_AMQP__DECLARE", "yes"),
        ("AFTERCOMMIT_AMQP__PUBLISH_EVENTS", "1"),
        ("AFTERCOMMIT_AMQP__HEARTBEAT", "5"),
        ("AFTERCOMMIT_AMQP__HEARTBEAT", "500ms"),
        ("AFTERCOMMIT_AMQP__HEARTBEAT", "61s"),
        ("AFTERCOMMIT_AMQP__HEARTBEAT", "1s500ms"),
        ("AFTERCOMMIT_AMQP__HEARTBEAT", "6s"),
        ("AFTERCOMMIT_AMQP__CONNECT_TIMEOUT", "0s"),
        ("AFTERCOMMIT_AMQP__CONNECT_TIMEOUT", "2m"),
        ("AFTERCOMMIT_AMQP__CONFIRM_TIMEOUT", "8s"),
        ("AFTERCOMMIT_AMQP__CONFIRM_TIMEOUT", "11m"),
        ("AFTERCOMMIT_AMQP__CONFIRM_TIMEOUT", "ever"),
        ("AFTERCOMMIT_AMQP__CA_FILE", ""),
        ("AFTERCOMMIT_AMQP__CLIENT_CERT_FILE", "canary.pem"),
        ("AFTERCOMMIT_AMQP__CLIENT_KEY_FILE", "canary.pem"),
        ("AFTERCOMMIT_AMQP__CA_FILE", "-----BEGIN CERTIFICATE----- canary"),
        ("AFTERCOMMIT_AMQP__CLIENT_CERT", "canary"),
        ("AFTERCOMMIT_AMQP__URL", "canary"),
        ("AFTERCOMMIT_AMQP__HEARTBEATS", "canary"),
        ("AFTERCOMMIT_AMPQ__PREFIX", "canary"),
    ];
    insta::assert_snapshot!("settings", table(cases));
    let file = "[amqp]\npartitions = \"many\"\nordered_topics = [1]\ndeclare = 1\nprefx = \"canary\"\n";
    insta::assert_snapshot!("file", load(&[], file).unwrap_err());
}

#[test]
fn certificates_are_refused_without_tls() {
    let refusal = |more: &[(&str, &str)]| {
        let pairs: Vec<_> = [SERVER, ("AFTERCOMMIT_AMQP__CA_FILE", "ca.pem")]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        load(&pairs, "").unwrap_err()
    };
    let plain = refusal(&[("AMQP_URL", "amqp://localhost")]);
    let none = refusal(&[]);
    insta::assert_snapshot!(format!("{plain}\n{none}"), @r"
    AFTERCOMMIT_AMQP__CA_FILE: is given, but AMQP_URL begins with amqp: and not with amqps:; expected the path of a file with certificates in PEM
    AFTERCOMMIT_AMQP__CA_FILE: is given, but AMQP_URL is not; expected the path of a file with certificates in PEM
    ");
    let mistyped = refusal(&[("AMQP_URL", "ampqs://me:canary@mq.example")]);
    assert_eq!(mistyped.problems().len(), 1, "{mistyped}");
}

#[test]
fn everything_may_come_from_the_environment_or_the_file() {
    let file = "amqp_url = \"amqps://me:it@mq.example/shop\"\ndatabase_url = \"postgres://app@localhost/app\"\n[amqp]\n\
                prefix = \"shop.v2\"\nordered_topics = [\"receipts\", \"invoices\"]\npartitions = 64\nmax_length = 100\n\
                declare = false\npublish_events = true\nconfirm_timeout = \"3m\"\nca_file = \"ca.pem\"\n\
                client_cert_file = \"me.pem\"\nclient_key_file = \"me.key\"\n";
    let pairs = [
        ("AFTERCOMMIT_AMQP__HEARTBEAT", "1m"),
        ("AFTERCOMMIT_AMQP__CONNECT_TIMEOUT", "500ms"),
        ("AFTERCOMMIT_AMQP__PARTITIONS", "8"),
    ];
    let (settings, warnings) = read(&pairs, file);
    assert_eq!(settings.prefix, "shop.v2");
    assert_eq!(
        settings.ordered_topics.iter().collect::<Vec<_>>(),
        ["invoices", "receipts"]
    );
    assert_eq!((settings.partitions, settings.max_length), (8, 100));
    assert!(!settings.declare && settings.publish_events);
    assert_eq!(settings.heartbeat, Duration::from_mins(1));
    assert_eq!(settings.connect_timeout, Duration::from_millis(500));
    assert_eq!(settings.confirm_timeout, Duration::from_mins(3));
    assert_eq!(settings.certificates.ca_file.as_deref(), Some(Path::new("ca.pem")));
    let client = settings.certificates.client.unwrap();
    assert_eq!((client.cert_file, client.key_file), ("me.pem".into(), "me.key".into()));
    assert_eq!(warnings, Vec::<String>::new());
    let spaced = read(
        &[
            SERVER,
            ("AMQP_URL", "amqp://localhost"),
            ("AFTERCOMMIT_AMQP__ORDERED_TOPICS", "receipts, invoice-email"),
        ],
        "",
    );
    assert_eq!(spaced.0.ordered_topics.len(), 2);
}

#[test]
fn an_ordered_topic_that_nobody_registered_is_named() {
    let settings = read(
        &[
            SERVER,
            ("AMQP_URL", "amqp://localhost"),
            ("AFTERCOMMIT_AMQP__ORDERED_TOPICS", "receipt,frobnicate,invoices"),
        ],
        "",
    )
    .0;
    assert_eq!(settings.check_topics(&["receipt", "frobnicate", "invoices"]), Ok(()));
    let errors = settings.check_topics(&["receipts", "invoices"]).unwrap_err();
    insta::assert_snapshot!(errors, @r"
    AFTERCOMMIT_AMQP__ORDERED_TOPICS: no topic is called frobnicate; `aftercommit routes` lists the topics
    AFTERCOMMIT_AMQP__ORDERED_TOPICS: no topic is called receipt, did you mean receipts?
    ");
}

#[test]
fn plain_text_to_another_machine_is_warned_of_without_its_password() {
    let warnings = |url: &str| read(&[SERVER, ("AMQP_URL", url)], "").1.join("\n");
    insta::assert_snapshot!(warnings("amqp://canary:canary@mq:5672?tls=insecure-plain-text"), @"AMQP_URL: the password and all tasks go to mq without TLS, where everybody on the way can read and change them; amqps:// closes it");
    for url in [
        "amqp://127.0.0.1?tls=insecure-plain-text",
        "amqp://127.0.0.1",
        "amqps://me:it@mq.example",
    ] {
        assert_eq!(warnings(url), "", "{url}");
    }
}

#[test]
fn no_password_is_shown() {
    let pairs = [SERVER, ("AMQP_URL", "amqp://me:canary@mq/shop?tls=insecure-plain-text")];
    let settings = load(&pairs, "").unwrap();
    let amqp = settings.amqp.as_ref().unwrap();
    assert_eq!(amqp.server.password.expose_secret(), "canary");
    for text in [
        format!("{settings:?}"),
        format!("{amqp:#?}"),
        amqp.server.to_string(),
        settings.describe(Rendering::Json),
        settings.describe(Rendering::Text),
    ] {
        assert!(text.contains("mq") && !text.contains("canary"), "{text}");
    }
    let shown = amqp.server.to_string();
    assert_eq!(shown, "amqp://‹redacted›@mq:5672/shop?tls=insecure-plain-text");
}
