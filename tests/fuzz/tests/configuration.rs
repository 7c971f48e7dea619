//! A configuration of any keys and values, in the environment and in a file: what is accepted can be written down and is
//! accepted again as the same; what is refused is told in one line for each problem, without what was written.

use std::path::Path;
use std::sync::LazyLock;

use aftercommit_fuzz::{Drawn, any_text, fuzz_target, mutated};
use aftercommit_platform_config::{
    CONFIG_EXIT_CODE, ConfigErrors, ReferenceEntry, Rendering, Settings, reference_entries,
};
use aftercommit_platform_sealer_aead::SealingKeys;

fuzz_target!(fuzz_configuration, sources, a_configuration_keeps_its_meaning);

static ENTRIES: LazyLock<Vec<ReferenceEntry>> = LazyLock::new(reference_entries);

const REDACTED: &str = "‹redacted›";

/// Values of each form, good and bad; what must not be repeated holds the word `canary`.
const VALUES: [&str; 64] = [
    "0",
    "1",
    "20",
    "500",
    "10000",
    "-1",
    "1e3",
    "1.5",
    "99999999999999999999999",
    " 5",
    "5\n",
    "500ms",
    "30s",
    "5m",
    "1h 30m",
    "14d",
    "0s",
    "5",
    "5 minutes",
    "-1s",
    "1e9h",
    "18446744073709551615d",
    "true",
    "false",
    "TRUE",
    "all",
    "relay,topics",
    "relay,,relay",
    "receipts,invitation-email",
    "json",
    "full",
    "sqlite::memory:",
    "sqlite:///srv/app.db",
    "sqlite:a%20b.db",
    "sqlite://../canary",
    "postgres://me:c%40anary@db.example/app",
    "postgres://localhost:5433/app?sslmode=verify-full",
    "postgres:///app?host=/run/postgresql",
    "postgres:/canary",
    "postgres://me:can@ary@db.example:99999/app",
    "amqp://guest:canary@localhost/%2f",
    "amqps://me:canary@broker.example:5671/v",
    "amqp://broker.example",
    "amqp://[::1]:5672",
    "smtp://localhost:2525",
    "smtps://me:canary@mail.example",
    "smtp://mail.example?tls=required",
    "https://app.example.com/base",
    "127.0.0.1:0",
    "[::]:8080",
    "example.com:80",
    "Acme <a@b.example>",
    "a@b",
    "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "k1:canary",
    "canarycanarycanarycanarycanarycanary",
    "auto",
    "temporal.example",
    "temporal.example:7233",
    "https://temporal.example:7233",
    "http://canary@temporal.example:7233",
    "https://temporal.example/canary",
    "127.0.0.1:65536",
    "orders prod",
];

/// Temporal's own names of some keys. Its keys hang together, and by chance they would hardly meet.
const TEMPORAL: [&str; 4] = [
    "TEMPORAL_ADDRESS",
    "TEMPORAL_NAMESPACE",
    "TEMPORAL_TASK_QUEUE",
    "TEMPORAL_API_KEY",
];

/// `KEY=value` on each line for the environment; after a line `---`, a file.
fn sources(drawn: &mut Drawn<'_>) -> arbitrary::Result<Vec<u8>> {
    let mut text = String::new();
    if drawn.ratio(1, 4)? {
        for key in TEMPORAL {
            if drawn.arbitrary()? {
                let value = *drawn.choose(&VALUES)?;
                text.push_str(&[key, "=", &value.replace('\n', "\\n"), "\n"].concat());
            }
        }
    }
    for _ in 0..drawn.int_in_range(0..=4)? {
        let entry = drawn.choose(&ENTRIES)?;
        let mut key = entry
            .key
            .replace("<TOPIC>", drawn.choose(&["RECEIPTS", "A__B", "a", ""])?);
        if drawn.ratio(1, 10)? {
            key = String::from_utf8_lossy(&mutated(drawn, key.into_bytes())?).into_owned();
        }
        let value = value(entry, drawn)?.replace('\n', "\\n");
        text.push_str(&[&key, "=", &value, "\n"].concat());
    }
    if drawn.ratio(1, 2)? {
        text += "---\n";
        for _ in 0..drawn.int_in_range(0..=4)? {
            let entry = drawn.choose(&ENTRIES)?;
            let key = entry.file_key.replace("<topic>", "receipts");
            let value = value(entry, drawn)?;
            let value = match drawn.int_in_range(0..=3)? {
                0 => value,
                1 => format!("[\"{value}\", 1]"),
                _ => format!("{value:?}"),
            };
            match key.rsplit_once('.') {
                Some((table, key)) if drawn.arbitrary()? => {
                    text.push_str(&["[", table, "]\n", key, " = ", &value, "\n"].concat());
                }
                Some(_) | None => text.push_str(&[&key, " = ", &value, "\n"].concat()),
            }
        }
    }
    mutated(drawn, text.into_bytes())
}

fn value(entry: &ReferenceEntry, drawn: &mut Drawn<'_>) -> arbitrary::Result<String> {
    Ok(match drawn.int_in_range(0..=9)? {
        // The default is a value too, where it is one.
        0 | 1 => entry.default.clone(),
        2 => any_text(drawn)?,
        3 => {
            let value = drawn.choose(&VALUES)?.as_bytes().to_vec();
            String::from_utf8_lossy(&mutated(drawn, value)?).into_owned()
        }
        _ => (*drawn.choose(&VALUES)?).to_owned(),
    })
}

fn a_configuration_keeps_its_meaning(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (environment, file) = match text.split_once("---\n") {
        Some((environment, file)) => (environment, Some(file)),
        None => (&*text, None),
    };
    let environment: Vec<(String, String)> = environment
        .split('\n')
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.replace("\\n", "\n")))
        .collect();
    let file = file.map(|text| (Path::new("aftercommit.toml"), text));
    match Settings::from_sources(environment.clone(), file) {
        Ok(settings) => is_read_again(&settings, &environment, file.is_some()),
        Err(errors) => is_refused_well(&errors),
    }
    for (_, value) in environment {
        if let Err(error) = SealingKeys::parse(&value) {
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }
}

/// What was given, given again as it is shown, is accepted as the same.
fn is_read_again(settings: &Settings, environment: &[(String, String)], has_file: bool) {
    let report = settings.describe(Rendering::Text);
    assert!(
        !report.contains(|c: char| c.is_control() && c != '\n'),
        "a value steers the terminal: {report:?}"
    );
    let values = settings.effective_values();
    assert_eq!(
        report.lines().count(),
        values.len(),
        "a value looks like another key's line: {report}"
    );
    let is_open = |(key, value): &(String, String)| {
        let is_secret = ENTRIES.iter().any(|entry| entry.key == *key && entry.secret);
        !is_secret && value.contains("anary")
    };
    if !has_file && !environment.iter().any(is_open) {
        let all = format!("{report}{settings:?}");
        assert!(!all.contains(":c%40anary") && !all.contains(":canary@"), "{all}");
    }
    if values
        .iter()
        .any(|value| value.value.as_deref().is_some_and(|value| value.contains(REDACTED)))
    {
        return;
    }
    let again = values
        .iter()
        .filter(|value| value.source != "default")
        .filter_map(|value| Some((value.key.clone(), value.value.clone()?)));
    let again = Settings::from_sources(again, None).unwrap_or_else(|errors| panic!("{errors}\nof {environment:?}"));
    let values_of = |settings: &Settings| -> Vec<_> {
        let values = settings.effective_values().iter();
        values.map(|value| (value.key.clone(), value.value.clone())).collect()
    };
    assert_eq!(values_of(&again), values_of(settings));
}

fn is_refused_well(errors: &ConfigErrors) {
    let text = errors.to_string();
    assert_eq!(errors.exit_code(), CONFIG_EXIT_CODE);
    assert_eq!(
        text.lines().count(),
        errors.problems().len(),
        "one line for each: {text:?}"
    );
    for line in text.lines() {
        assert!(line.len() < 2000, "{line}");
        assert!(
            !line.contains(|c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)),
            "{line:?}"
        );
    }
    for problem in errors.problems() {
        assert!(!problem.problem().contains("canary"), "{problem}");
    }
}
