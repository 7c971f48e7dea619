//! What a process does, and which topics it runs.

use aftercommit_platform_config::{ConfigErrors, Rendering, Role, Settings};
use std::path::Path;

const ROLES: &str = "AFTERCOMMIT_WORKER__ROLES";
const TOPICS: &str = "AFTERCOMMIT_WORKER__TOPICS";

fn load(pairs: &[(&str, &str)], file: &str) -> Result<Settings, ConfigErrors> {
    let variables = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::from_sources(variables, Some((Path::new("aftercommit.toml"), file)))
}

#[test]
fn a_process_does_everything_unless_it_is_told_otherwise() {
    for pairs in [&[][..], &[(ROLES, "all"), (TOPICS, "all")]] {
        let worker = load(pairs, "").unwrap().worker;
        assert_eq!(worker.roles, Role::ALL.into());
        assert_eq!(worker.topics, None);
    }
}

#[test]
fn roles_and_topics_may_come_from_the_environment_or_the_file() {
    let settings = load(&[(ROLES, "dispatcher, relay")], "").unwrap();
    assert_eq!(settings.worker.roles, [Role::Relay, Role::Dispatcher].into());
    assert_eq!(settings.worker.topics, None);
    let shown = settings.describe(Rendering::Text);
    assert!(shown.contains("= relay,dispatcher  (environment)"), "{shown}");

    let file = "[worker]\nroles = [\"topics\", \"maintenance\"]\ntopics = [\"receipts\", \"magic-link-email\"]\n";
    let worker = load(&[], file).unwrap().worker;
    assert_eq!(worker.roles, [Role::Topics, Role::Maintenance].into());
    let expected = ["magic-link-email", "receipts"].map(str::to_owned);
    assert_eq!(worker.topics, Some(expected.into()));
    let worker = load(&[(TOPICS, "receipts")], file).unwrap().worker;
    assert_eq!(
        worker.topics,
        Some(["receipts".to_owned()].into()),
        "the environment wins"
    );
    let worker = load(&[(ROLES, "relay"), (TOPICS, "all")], file).unwrap().worker;
    assert_eq!((worker.roles, worker.topics), ([Role::Relay].into(), None));
}

#[test]
fn what_is_no_role_or_no_topic_is_refused() {
    let cases: [&[(&str, &str)]; 13] = [
        &[(ROLES, "")],
        &[(ROLES, "canary")],
        &[(ROLES, "Relay")],
        &[(ROLES, "relay dispatcher")],
        &[(ROLES, "relay,")],
        &[(ROLES, "relay,relay")],
        &[(ROLES, "all,relay")],
        &[(ROLES, "none")],
        &[(TOPICS, "Canary")],
        &[(TOPICS, "all,receipts")],
        &[(TOPICS, "receipts,receipts")],
        &[(ROLES, "relay"), (TOPICS, "receipts")],
        &[("AFTERCOMMIT_WORKER__ROLE", "relay")],
    ];
    let blocks = cases.map(|pairs| {
        let lines = load(pairs, "").unwrap_err().to_string();
        assert!(!lines.contains("canary") && lines.lines().count() == 1, "{lines}");
        let given = pairs.iter().map(|(name, value)| format!("{name}={value:?}"));
        format!("{}\n  {lines}\n", given.collect::<Vec<_>>().join(" "))
    });
    insta::assert_snapshot!("refused", blocks.concat());
}
