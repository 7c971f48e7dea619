//! What every file and every package has in common.

use aftercommit_architecture_tests::{code, files, members, none_of, rust_files};

/// Names that say nothing of what is in a file, so that everything ends up in it.
const EMPTY_NAMES: &[&str] = &[
    "utils", "util", "common", "helpers", "helper", "manager", "managers", "types", "misc", "shared", "stuff",
];

#[test]
fn every_package_inherits_the_workspaces_lints() {
    let wrong = members()
        .iter()
        .filter(|member| {
            let manifest = member.manifest();
            let lints = manifest.split_once("[lints]").map(|(_, after)| after.trim_start());
            !lints.is_some_and(|lints| lints.starts_with("workspace = true"))
        })
        .map(|member| format!("{}/Cargo.toml", member.folder));
    none_of(
        wrong,
        "Lints are decided once. Add `[lints]` with `workspace = true` to:",
    );
}

#[test]
fn every_package_takes_version_edition_and_licence_from_the_workspace() {
    let wrong = members().iter().flat_map(|member| {
        let manifest = member.manifest();
        ["version", "edition", "rust-version", "license"]
            .into_iter()
            .filter(|key| !manifest.contains(&format!("\n{key}.workspace = true")))
            .map(|key| format!("{}/Cargo.toml: {key}.workspace = true", member.folder))
            .collect::<Vec<_>>()
    });
    none_of(wrong, "One version, one edition, one licence. Add:");
}

#[test]
fn every_package_says_what_it_is() {
    let wrong = members()
        .iter()
        .filter(|member| {
            member
                .package
                .description
                .as_ref()
                .is_none_or(|description| description.trim().is_empty())
        })
        .map(|member| format!("{}/Cargo.toml", member.folder));
    none_of(wrong, "Add a `description` of one line to:");
}

#[test]
fn files_stay_short() {
    let wrong = rust_files("").into_iter().filter_map(|file| {
        let limit = if file.is_test() { 600 } else { 400 };
        let lines = file.text.lines().count();
        (lines > limit).then(|| format!("{}: {lines} lines, at most {limit}", file.path))
    });
    none_of(
        wrong,
        "One concept per file. Find the second concept and give it a file of its own:",
    );
}

#[test]
fn files_are_named_by_their_concept() {
    let wrong = files("").into_iter().filter(|file| {
        let stem = file.name().split('.').next().unwrap_or_default();
        let is_rust = file.path.rsplit('.').next() == Some("rs");
        let last_folder = file.folders().last().unwrap_or_default();
        let is_empty = |name: &str| {
            EMPTY_NAMES
                .iter()
                .any(|empty| name == *empty || name.strip_suffix(empty).is_some_and(|n| n.ends_with('_')))
        };
        is_rust && (is_empty(stem) || is_empty(last_folder))
    });
    none_of(
        wrong.map(|file| file.path),
        "A file is named by the one thing in it. Name what these hold:",
    );
}

#[test]
fn no_lint_is_allowed_away() {
    // Written in two parts, so that this file is not found.
    let attributes = [concat!("#[al", "low("), concat!("#![al", "low(")];
    let wrong = rust_files("").into_iter().flat_map(|file| {
        code(&file.text)
            .filter(|(_, line)| attributes.iter().any(|attribute| line.contains(attribute)))
            .map(|(number, _)| format!("{}:{number}", file.path))
            .collect::<Vec<_>>()
    });
    none_of(
        wrong,
        "Use `#[expect(lint, reason = \"…\")]`, which disappears together with its cause, in:",
    );
}

#[test]
fn nothing_in_the_tree_depends_on_one_machine() {
    // Written in two parts, so that this file is not found.
    let folders = [
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
    ];
    let wrong = files("").into_iter().flat_map(|file| {
        file.text
            .lines()
            .zip(1..)
            .filter(|(line, _)| {
                folders.iter().any(|folder| {
                    line.match_indices(folder).any(|(at, _)| {
                        // Only where a path starts: `https://example.com/home/` is none.
                        !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}".contains(c))
                    })
                })
            })
            .map(|(_, number): (&str, usize)| format!("{}:{number}", file.path))
            .collect::<Vec<_>>()
    });
    none_of(
        wrong,
        "A clone runs anywhere. Take the folder from the environment, cargo or a temporary directory in:",
    );
}
