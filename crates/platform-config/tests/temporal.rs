//! The Temporal server that runs workflows: what is understood, and what is refused.
#![expect(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

use aftercommit_platform_config::{Settings, TemporalSettings};

const ADDRESS: &str = "TEMPORAL_ADDRESS";
const API_KEY: &str = "AFTERCOMMIT_TEMPORAL__API_KEY";
const TLS: &str = "AFTERCOMMIT_TEMPORAL__TLS";
const SERVER_NAME: &str = "AFTERCOMMIT_TEMPORAL__TLS_SERVER_NAME";

fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::from_sources(pairs, None).map_err(|errors| errors.to_string())
}

fn temporal(pairs: &[(&str, &str)]) -> TemporalSettings {
    read(pairs).unwrap().temporal.unwrap()
}

#[test]
fn without_an_address_there_is_no_engine() {
    assert!(read(&[]).unwrap().temporal.is_none());
    assert!(
        read(&[("AFTERCOMMIT_TEMPORAL__NAMESPACE", "orders")])
            .unwrap()
            .temporal
            .is_none()
    );
}

#[test]
fn an_address_says_by_its_scheme_whether_there_is_tls_and_a_key_turns_it_on() {
    for (pairs, url) in [
        (&[(ADDRESS, "127.0.0.1:7233")][..], "http://127.0.0.1:7233"),
        (&[(ADDRESS, "localhost")], "http://localhost:7233"),
        (&[(ADDRESS, "[::1]:80")], "http://[::1]:80"),
        (&[(ADDRESS, "http://temporal:7233/")], "http://temporal:7233"),
        (&[(ADDRESS, "https://temporal:443")], "https://temporal:443"),
        (&[(ADDRESS, "temporal"), (API_KEY, "canary")], "https://temporal:7233"),
        (&[(ADDRESS, "temporal"), (TLS, "true")], "https://temporal:7233"),
        (&[(ADDRESS, "temporal"), (TLS, "false")], "http://temporal:7233"),
        (&[(ADDRESS, "temporal"), (SERVER_NAME, "x")], "https://temporal:7233"),
    ] {
        assert_eq!(temporal(pairs).url(), url, "{pairs:?}");
    }
}

#[test]
fn the_names_that_the_tools_of_temporal_know_are_understood_too() {
    let defaults = temporal(&[(ADDRESS, "localhost")]);
    assert_eq!(
        (&*defaults.namespace, &*defaults.task_queue),
        ("default", "aftercommit")
    );
    let named = temporal(&[
        (ADDRESS, "localhost"),
        ("TEMPORAL_NAMESPACE", "orders"),
        ("AFTERCOMMIT_TEMPORAL__TASK_QUEUE", "slow"),
        ("TEMPORAL_API_KEY", "canary"),
    ]);
    assert_eq!((&*named.namespace, &*named.task_queue), ("orders", "slow"));
    assert!(named.api_key.is_some() && !format!("{named:?}").contains("canary"));
}

#[test]
fn a_key_without_tls_and_everything_else_that_cannot_be_meant_is_refused() {
    let cases = [
        &[(ADDRESS, "http://temporal:7233"), (API_KEY, "canary")][..],
        &[(ADDRESS, "temporal:7233"), (API_KEY, "canary"), (TLS, "false")],
        &[(ADDRESS, "http://127.0.0.1:7233"), (SERVER_NAME, "canary")],
        &[(ADDRESS, "https://temporal"), (TLS, "false")],
        &[(ADDRESS, "http://temporal"), (TLS, "true")],
        &[(API_KEY, "canary")],
        &[(ADDRESS, "grpc://canary")],
        &[(ADDRESS, "canary:canary@temporal:7233")],
        &[(ADDRESS, "temporal:7233/canary")],
        &[(ADDRESS, "temporal:0")],
        &[(ADDRESS, "temporal"), (API_KEY, "canary with a space")],
        &[(ADDRESS, "temporal"), (TLS, "perhaps")],
        &[
            (ADDRESS, "temporal"),
            ("AFTERCOMMIT_TEMPORAL__TLS_CLIENT_CERT_FILE", "/me.pem"),
        ],
        &[
            ("TEMPORAL_NAMESPACE", "canary"),
            ("AFTERCOMMIT_TEMPORAL__NAMESPACE", "canary"),
        ],
        &[("AFTERCOMMIT_TEMPORAL__NAMESPCE", "x")],
    ];
    let text: Vec<String> = cases
        .iter()
        .map(|pairs| {
            let names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
            format!(
                "{}\n  {}",
                names.join(", "),
                read(pairs).unwrap_err().replace('\n', "\n  ")
            )
        })
        .collect();
    let text = text.join("\n");
    assert!(!text.contains("canary"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_server_elsewhere_without_tls_is_warned_of() {
    let warnings = |address| read(&[(ADDRESS, address)]).unwrap().warnings;
    assert_eq!(warnings("127.0.0.1:7233").len() + warnings("[::1]").len(), 0);
    assert_eq!(warnings("https://temporal.example").len(), 0);
    assert_eq!(warnings("temporal.example:7233").len(), 1);
}
