//! Who may name an adapter, and what an adapter must prove.

use std::fs;

use aftercommit_architecture_tests::{Kind, code, files, member, members, none_of, root, rust_files};

/// A port with a store or a queue behind it, and the suite that says what it means.
const SUITES: &[(&str, &str)] = &[
    ("Outbox", "outbox_conformance!"),
    ("UnitOfWorkFactory", "unit_of_work_conformance!"),
    ("InboxMaintenance", "inbox_conformance!"),
    ("QueuePublisher", "queue_conformance!"),
    ("QueuePublisher", "coalescing_conformance!"),
    ("QueueConsumer", "queue_conformance!"),
    ("EventLog", "event_log_conformance!"),
    ("DeadLetters", "dead_letters_conformance!"),
    ("DeadLetterOperations", "dead_letters_conformance!"),
    ("BulkRuns", "bulk_runs_conformance!"),
    ("Schedules", "schedules_conformance!"),
    ("TaskInspector", "task_inspector_conformance!"),
    ("Lineage", "lineage_conformance!"),
    ("OutboxTransfer", "transfer_conformance!"),
    ("HeldTasks", "held_tasks_conformance!"),
    ("TaskHistory", "task_history_conformance!"),
    ("TaskCancellations", "orders_conformance!"),
    ("TaskPauses", "orders_conformance!"),
    ("ObjectStorage", "object_storage_conformance!"),
    ("WorkflowStarter", "workflows_conformance!"),
    ("WorkflowQuerier", "workflows_conformance!"),
];

#[test]
fn only_providers_and_wiring_name_adapters() {
    let adapters: Vec<String> = members()
        .iter()
        .filter(|member| member.kind == Kind::Adapter)
        .map(|member| member.name().replace('-', "_"))
        // In a workspace of its own.
        .chain(["aftercommit_platform_workflows_temporal".to_owned()])
        .collect();
    let mut wrong = Vec::new();
    for file in rust_files("crates/aftercommit").iter().chain(&rust_files("apps")) {
        let may = file.path == "crates/aftercommit/src/providers.rs"
            || file.path.starts_with("crates/aftercommit/src/providers/")
            || file.path == "crates/aftercommit/src/foreign_transaction.rs"
            || file.path.starts_with("apps/") && file.path.ends_with("/src/wiring.rs");
        if may {
            continue;
        }
        for (number, line) in code(&file.text) {
            wrong.extend(
                adapters
                    .iter()
                    .filter(|name| line.contains(*name))
                    .map(|name| format!("{}:{number}: {name}", file.path)),
            );
        }
    }
    none_of(
        wrong,
        "Only crates/aftercommit/src/providers.rs and apps/*/src/wiring.rs name adapters. Take the port as an argument:",
    );
}

#[test]
fn a_provider_of_a_store_or_a_queue_passes_the_conformance_suites() {
    let mut wrong = Vec::new();
    let testkit = member("crates/testkit");
    let providers = members()
        .iter()
        .filter(|member| member.kind == Kind::Adapter)
        .chain([testkit]);
    for provider in providers {
        let suites = root().join(&provider.folder).join("tests/conformance.rs");
        let suites = fs::read_to_string(suites).unwrap_or_default();
        let sources = rust_files(&format!("{}/src", provider.folder));
        for (port, suite) in SUITES {
            let implements = sources.iter().flat_map(|file| code(&file.text)).any(|(_, line)| {
                let line = line.trim_start();
                line.starts_with("impl") && line.contains(&format!(" {port} for "))
            });
            if implements && !suites.contains(suite) {
                wrong.push(format!(
                    "{}: implements {port}, but tests/conformance.rs has no `{suite}`",
                    provider.folder
                ));
            }
        }
    }
    wrong.dedup();
    none_of(
        wrong,
        "One meaning, every provider. Run the suite of each port in tests/conformance.rs:",
    );
}

#[test]
fn every_suite_of_the_testkit_is_known_here() {
    let sources = rust_files("crates/testkit/src/conformance");
    let unknown = sources
        .iter()
        .flat_map(|file| code(&file.text))
        .filter_map(|(_, line)| line.trim().strip_prefix("macro_rules! "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.ends_with("_conformance"))
        .filter(|name| !SUITES.iter().any(|(_, suite)| suite.trim_end_matches('!') == *name))
        .collect::<Vec<_>>();
    none_of(
        unknown,
        "A suite nobody must pass is none. Add it with its port to SUITES in this test:",
    );
}

#[test]
fn the_kit_names_the_reference_product_only_under_its_feature() {
    let mut wrong = Vec::new();
    for member in members().iter().filter(|member| member.is_kit()) {
        let has_feature = member.package.features.contains_key("reference");
        let mut words = vec!["domain::reference", "testkit::reference"];
        if has_feature {
            words.extend(["crate::reference", "mod reference"]);
        }
        for file in rust_files(&format!("{}/src", member.folder)) {
            if has_feature && file.folders().any(|folder| folder == "reference") {
                continue;
            }
            let lines: Vec<&str> = file.text.lines().collect();
            for (number, line) in code(&file.text) {
                let is_named = words.iter().any(|word| line.contains(word));
                let is_guarded = |line: &&str| line.contains("feature = \"reference\"");
                if is_named && !lines[number.saturating_sub(4)..number].iter().any(is_guarded) {
                    wrong.push(format!("{}:{number}: {}", file.path, line.trim()));
                }
            }
        }
    }
    none_of(
        wrong,
        "Who adopts the kit does not get the product. Move this into the crate's folder `reference/`, behind \
         `#[cfg(feature = \"reference\")] mod reference;`:",
    );
}

#[test]
fn the_reference_products_folder_is_there_only_with_its_feature() {
    let wrong = members()
        .iter()
        .filter(|member| member.is_kit() && !member.package.features.contains_key("reference"))
        .filter(|member| !files(&format!("{}/src/reference", member.folder)).is_empty())
        .map(|member| format!("{}/src/reference", member.folder));
    none_of(
        wrong,
        "A folder `reference/` belongs to a package with a feature of that name:",
    );
}
