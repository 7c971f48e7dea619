//! What the documents say of the tree, and whether it is so.

use std::collections::BTreeSet;
use std::fs;

use aftercommit_architecture_tests::{File, Member, members, none_of, root, rust_files};

fn document(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cells of the tables below the heading, without their heads.
fn rows(document: &str) -> Vec<Vec<&str>> {
    document
        .lines()
        .filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|cells| !cells.iter().all(|cell| cell.chars().all(|c| "-: ".contains(c))))
        .collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Packages that are compiled only where somebody wants them.
const WORKSPACES_OF_THEIR_OWN: [&str; 3] = [
    "apps/workflows",
    "bench/workflows",
    "crates/platform-workflows-temporal",
];

#[test]
fn the_code_map_of_architecture_md_lists_exactly_the_packages_there_are() {
    let text = document("ARCHITECTURE.md");
    let map = text
        .split("\n## ")
        .find(|section| section.starts_with("Code map"))
        .expect("a section `Code map`");
    let listed: BTreeSet<&str> = rows(map).iter().skip(1).flat_map(|cells| quoted(cells[0])).collect();
    let mut there: BTreeSet<&str> = members().iter().map(|member| member.folder.as_str()).collect();
    there.extend(WORKSPACES_OF_THEIR_OWN);
    let missing = there
        .difference(&listed)
        .map(|folder| format!("`{folder}` is not in the code map"));
    let gone = listed
        .difference(&there)
        .map(|folder| format!("`{folder}` is in the code map but not in the tree"));
    none_of(
        missing.chain(gone),
        "The code map is where a newcomer starts. Give each package its row in ARCHITECTURE.md:",
    );
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let text = document("docs/guarantees.md");
    let sources = rust_files("");
    let promises: Vec<Vec<&str>> = rows(&text).into_iter().filter(|cells| cells[0] != "promise").collect();
    assert!(
        !promises.is_empty(),
        "docs/guarantees.md has no table | promise | mechanism | test |"
    );
    let mut wrong = Vec::new();
    for promise in promises {
        let [what, _, tests] = promise.as_slice() else {
            wrong.push(format!("{promise:?} is not | promise | mechanism | test |"));
            continue;
        };
        let names: Vec<&str> = quoted(tests).collect();
        if names.is_empty() {
            wrong.push(format!("{what} names no test"));
        }
        wrong.extend(
            names
                .iter()
                .filter(|name| !is_a_test(name, &sources))
                .map(|name| format!("{what} names `{name}`, which is no test")),
        );
    }
    none_of(
        wrong,
        "A promise without a test is a hope. Write the test, or name the one there is, in docs/guarantees.md:",
    );
}

/// Whether `name`, or its last part after `::`, is a test function, a fuzz target or a scenario of a conformance suite.
fn is_a_test(name: &str, sources: &[File]) -> bool {
    let name = name.rsplit("::").next().unwrap_or(name);
    let function = format!("fn {name}(");
    let generic = format!("fn {name}<");
    let target = format!("fuzz_target!({name},");
    sources.iter().any(|file| {
        let lines: Vec<&str> = file.text.lines().collect();
        // A call may be written on several lines.
        let is_target = name.starts_with("fuzz_") && file.text.split_whitespace().collect::<String>().contains(&target);
        is_target
            || lines.iter().enumerate().any(|(at, line)| {
                let is_function = line.contains(&function) || line.contains(&generic);
                let is_scenario =
                    file.path.starts_with("crates/testkit/src/") && file.folders().any(|f| f == "conformance");
                let attributes = lines[..at]
                    .iter()
                    .rev()
                    .take_while(|line| !line.trim().is_empty() && !line.trim().ends_with('}'));
                let mut attributes = attributes.map(|line| line.trim());
                let is_target = line.starts_with(&target);
                is_target
                    || is_function
                        && (is_scenario || attributes.any(|line| line.starts_with("#[") && line.contains("test")))
            })
    })
}

#[test]
fn the_readme_says_how_to_test_in_a_block_that_ci_can_run() {
    let text = document("README.md");
    let marked: Vec<&str> = text.split("<!-- test-command -->\n").skip(1).collect();
    let [after] = marked.as_slice() else {
        panic!(
            "README.md has {} lines `<!-- test-command -->`, but .ci/run takes exactly one",
            marked.len()
        );
    };
    let block = after
        .strip_prefix("```sh\n")
        .and_then(|block| block.split("\n```").next());
    assert_eq!(
        block,
        Some("cargo xtask test"),
        "right under `<!-- test-command -->` README.md has a fenced block `sh` with the test command, which .ci/run runs"
    );
    assert!(
        document(".ci/run").contains("README.md"),
        ".ci/run takes the test command from README.md"
    );
}

#[test]
fn both_licences_are_there_and_are_the_ones_the_packages_name() {
    assert!(document("LICENSE-MIT").starts_with("MIT License"));
    assert!(document("LICENSE-APACHE").trim_start().starts_with("Apache License"));
    let wrong = members()
        .iter()
        .filter(|member| member.package.license.as_deref() != Some("MIT OR Apache-2.0"))
        .map(Member::name);
    none_of(wrong, "Everything here is MIT OR Apache-2.0, but not:");
}

#[test]
fn the_guides_to_adding_something_show_the_code_that_is_there() {
    let mut wrong = Vec::new();
    let mut shown = 0;
    for guide in [
        "add-an-event",
        "add-a-task",
        "add-a-provider",
        "shape-work",
        "write-a-workflow",
    ] {
        let path = format!("docs/guides/{guide}.md");
        let text = document(&path);
        let mut parts = text.split("```");
        let mut before = parts.next().unwrap_or_default().to_owned();
        while let (Some(block), after) = (parts.next(), parts.next()) {
            if let Some(code) = block.strip_prefix("rust\n").or_else(|| block.strip_prefix("json\n")) {
                shown += 1;
                // The file named last before the block.
                let file = quoted(&before).filter(|name| root().join(name).is_file()).last();
                let Some(file) = file else {
                    wrong.push(format!("{path}: a block of which nobody knows the file:\n{code}"));
                    continue;
                };
                if !document(file).contains(code) {
                    wrong.push(format!("{path}: this is not in {file}:\n{code}"));
                }
            }
            before.push_str(after.unwrap_or_default());
        }
    }
    assert!(shown >= 10, "only {shown} blocks of code");
    none_of(wrong, "A guide shows code as it is. Copy it anew:");
}

#[test]
fn the_glossary_names_what_there_is() {
    let text = document("docs/glossary.md");
    let sources = rust_files("crates");
    let mut wrong = Vec::new();
    for row in rows(&text).iter().skip(1) {
        let [word, _, place] = row.as_slice() else {
            wrong.push(format!("{row:?} is not | word | what it is | where |"));
            continue;
        };
        for name in quoted(place) {
            let is_path = name.contains('/') && !name.contains("::");
            let is_there = if is_path {
                let path = name.strip_suffix("-*").unwrap_or(name);
                path.starts_with("crates/platform")
                    || root().join("crates").join(path).exists()
                    || root().join(path).exists()
            } else {
                let item = name.rsplit("::").next().unwrap_or(name);
                sources.iter().any(|file| file.text.contains(item))
            };
            if !is_there {
                wrong.push(format!("{word}: `{name}`"));
            }
        }
    }
    none_of(wrong, "The glossary names something that is not there:");
}
