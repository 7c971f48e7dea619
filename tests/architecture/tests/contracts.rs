//! What every event and every task of the reference product must have.

use std::collections::BTreeSet;
use std::fs;

use aftercommit_architecture_tests::{Contract, contracts, none_of, root, rust_files};
use aftercommit_domain::contract::Scope;
use aftercommit_domain::events::RouteEffect;
use aftercommit_domain::reference::{catalogue, routes, tasks};

const PRODUCT: &str = "crates/domain/src/reference";

/// Who may do without a project id, and nobody else. See the reasons in the snapshot below.
const MAY_BE_EXEMPT: &[&str] = &[
    "MagicLinkEmailRequested",
    "InvitationEmailRequested",
    "MemberLeft",
    "MemberRestored",
    "UserDeletionRequested",
    "UserDeleted",
    "magic-link-email/send",
    "invitation-email/send",
    "incidents/sweep-open",
    "digests/trigger-weekly",
];

fn declared() -> Vec<Contract> {
    let declared = contracts(PRODUCT);
    assert!(
        declared.len() > 10,
        "the sources in {PRODUCT} are read wrongly: {} contracts",
        declared.len()
    );
    declared
}

#[test]
fn every_declared_event_is_in_the_catalogue_and_every_declared_task_in_the_list() {
    let mut listed: BTreeSet<String> = catalogue()
        .events()
        .iter()
        .map(|event| event.name.to_string())
        .collect();
    listed.extend(tasks().iter().map(|task| format!("{}/{}", task.topic, task.task)));
    let forgotten = declared();
    let forgotten = forgotten
        .iter()
        .filter(|contract| !listed.contains(&contract.wire_name()))
        .map(|contract| format!("{} ({})", contract.type_name, contract.path));
    none_of(
        forgotten,
        "What is not listed is not checked. Add to crates/domain/src/reference/catalogue.rs:",
    );
}

#[test]
fn every_event_has_a_route() {
    let problems = routes()
        .check(&catalogue())
        .err()
        .map(|error| error.problems)
        .unwrap_or_default();
    none_of(
        problems,
        "What follows from an event is written down, even if it is nothing:",
    );
}

#[test]
fn every_route_leads_to_a_task_of_the_list() {
    let listed: BTreeSet<String> = tasks()
        .iter()
        .map(|task| format!("{}/{}", task.topic, task.task))
        .collect();
    let routes = routes();
    let unknown = routes.entries().iter().flat_map(|route| match &route.effect {
        RouteEffect::Dispatches(targets) => targets
            .iter()
            .map(ToString::to_string)
            .filter(|target| !listed.contains(target))
            .map(|target| format!("{} → {target}", route.event))
            .collect(),
        RouteEffect::None(_) => Vec::new(),
    });
    none_of(unknown, "Add the task to crates/domain/src/reference/catalogue.rs:");
}

#[test]
fn every_task_has_a_handler_in_the_file_of_its_topic_and_name() {
    let handlers = rust_files("apps/workers/src/handlers");
    let missing = declared();
    let missing = missing
        .iter()
        .filter(|contract| contract.topic.is_some())
        .filter_map(|task| {
            let file = format!("apps/workers/src/handlers/{}.rs", task.wire_name().replace('-', "_"));
            let needed = format!("TaskHandler<{}> for", task.type_name);
            let there = handlers
                .iter()
                .any(|handler| handler.path == file && handler.text.contains(&needed));
            (!there).then(|| format!("{file} with `impl {needed} …`"))
        });
    none_of(missing, "A task without a handler waits for ever. Write:");
}

#[test]
fn every_contract_has_a_golden_file_of_its_version() {
    let missing = declared();
    let missing = missing
        .iter()
        .map(Contract::golden_file)
        .filter(|file| !root().join(file).is_file());
    none_of(
        missing,
        "A released payload decodes for ever. Commit what the newest version looks like, and keep the older files:",
    );
}

#[test]
fn every_golden_file_belongs_to_a_contract() {
    let names: BTreeSet<String> = declared()
        .iter()
        .map(|contract| contract.wire_name().replace('/', "."))
        .collect();
    let folder = root().join("crates/domain/tests/golden/reference");
    let files = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name());
    let stray = files.map(|name| name.to_string_lossy().into_owned()).filter(|name| {
        let contract = name
            .strip_suffix(".json")
            .and_then(|stem| stem.rsplit_once(".v"))
            .map(|(contract, _)| contract);
        !contract.is_some_and(|contract| names.contains(contract))
    });
    none_of(
        stray,
        "A golden file is `<contract>.v<version>.json` of a contract there is; a retired one needs its decision:",
    );
}

#[test]
fn exactly_the_listed_contracts_do_without_a_project() {
    let mut exempt = Vec::new();
    for event in catalogue()
        .events()
        .iter()
        .filter(|event| event.scope != Scope::Project)
    {
        exempt.push((event.name.to_string(), event.scope, event.exemption));
    }
    for task in tasks().iter().filter(|task| task.scope != Scope::Project) {
        exempt.push((format!("{}/{}", task.topic, task.task), task.scope, task.exemption));
    }
    let unlisted = exempt
        .iter()
        .map(|(name, ..)| name)
        .filter(|name| !MAY_BE_EXEMPT.contains(&name.as_str()));
    none_of(
        unlisted,
        "Tenant is part of every contract. Carry organization and project id instead of an exemption in:",
    );
    let lines: Vec<String> = exempt
        .iter()
        .map(|(name, scope, reason)| format!("{name}: {scope:?}, because {}", reason.unwrap_or("NO REASON")))
        .collect();
    insta::assert_snapshot!("exemptions", lines.join("\n"));
}

#[test]
fn no_contract_of_the_kit_or_the_apps_is_exempt() {
    let exempt: Vec<Contract> = ["crates", "apps"].into_iter().flat_map(contracts).collect();
    let exempt = exempt
        .iter()
        .filter(|contract| contract.is_exempt && !contract.path.starts_with(PRODUCT))
        // What an example declares is nobody's: the ticks of schedules are the system's.
        .filter(|contract| !contract.path.contains("/tests/") && !contract.path.contains("/examples/"))
        .map(|contract| format!("{} ({})", contract.type_name, contract.path));
    none_of(
        exempt,
        "Tenant is part of every contract. Carry organization and project id instead of an exemption in:",
    );
}

#[test]
fn the_kit_names_no_contract_of_the_reference_product() {
    let declared = declared();
    let mut named = Vec::new();
    let elsewhere = rust_files("crates").into_iter().filter(|file| {
        !file.is_test() && !file.folders().any(|folder| folder == "reference") && file.folders().any(|f| f == "src")
    });
    for file in elsewhere {
        let code = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in aftercommit_architecture_tests::code(code) {
            // What a message gives as an example is not code.
            let outside_quotes = line.split('"').step_by(2);
            let found = outside_quotes
                .flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_'))
                .find(|word| declared.iter().any(|contract| contract.type_name == *word));
            named.extend(found.map(|word| format!("{}:{number}: {word}", file.path)));
        }
    }
    none_of(
        named,
        "The kit works for events it has never heard of. Make these a parameter or a port:",
    );
}
