//! What this platform compiles, held to `deny.toml`, so that it is checked also where cargo-deny is not installed.

#![expect(clippy::expect_used, reason = "a test that cannot read the workspace fails")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use aftercommit_architecture_tests::{none_of, root};
use cargo_metadata::semver::VersionReq;
use cargo_metadata::{CargoOpt, Metadata, MetadataCommand, Package, PackageId};
use serde::Deserialize;
use spdx::{Expression, ParseMode};

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    sources: Sources,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
    version: Option<VersionReq>,
    #[serde(default)]
    wrappers: Vec<String>,
    reason: String,
}

fn deny() -> Deny {
    let text = fs::read_to_string(root().join("deny.toml")).expect("deny.toml is there");
    toml::from_str(&text).expect("deny.toml is understood")
}

/// The manifests of the workspaces, from the root: Temporal's has a lock file of its own.
const WORKSPACES: [&str; 2] = ["Cargo.toml", "crates/platform-workflows-temporal/Cargo.toml"];

/// The packages of this platform with all features, of each workspace. Not of all platforms: those would have to be downloaded
/// first.
fn workspaces() -> &'static [Metadata] {
    static METADATA: OnceLock<Vec<Metadata>> = OnceLock::new();
    METADATA.get_or_init(|| {
        let rustc = Command::new("rustc")
            .arg("-vV")
            .output()
            .expect("rustc says what it is");
        let rustc = String::from_utf8(rustc.stdout).expect("text");
        let host = rustc
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .expect("rustc names its host");
        let options = ["--locked", "--filter-platform", host].map(str::to_owned);
        let described = WORKSPACES.map(|manifest| {
            MetadataCommand::new()
                .manifest_path(root().join(manifest))
                .features(CargoOpt::AllFeatures)
                .other_options(options.clone())
                .exec()
                .expect("cargo describes the packages")
        });
        described.into()
    })
}

fn third_parties() -> impl Iterator<Item = &'static Package> {
    let packages = workspaces().iter().flat_map(|workspace| &workspace.packages);
    packages.filter(|package| package.source.is_some())
}

#[test]
fn the_workspace_of_temporal_is_held_to_the_same() {
    let is_there = |name: &str| third_parties().any(|package| package.name == name);
    assert!(is_there("temporalio-sdk") && is_there("lapin"));
}

#[test]
fn third_parties_have_a_permissive_licence() {
    let allowed = deny().licenses.allow;
    let wrong = third_parties().filter(|package| {
        let expression = licence(package).map(|text| Expression::parse_mode(&text, ParseMode::LAX));
        !matches!(expression, Some(Ok(expression)) if expression.evaluate(|term| {
            allowed.iter().any(|licence| term.license.id().is_some_and(|id| id.name == licence))
        }))
    });
    none_of(
        wrong.map(|package| {
            format!(
                "{} {}: {}",
                package.name,
                package.version,
                package.license.as_deref().unwrap_or("none")
            )
        }),
        "The kit is linked into other people's products. Find another library, or decide in deny.toml, for:",
    );
}

/// Its licence as it says; or MIT, when what it has instead is a file of that licence's own words.
fn licence(package: &Package) -> Option<String> {
    const MIT: &str = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and \
                       associated documentation files (the \"Software\"), to deal in the Software without restriction, \
                       including without limitation the rights to use, copy, modify, merge, publish, distribute, \
                       sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is \
                       furnished to do so, subject to the following conditions: The above copyright notice and this \
                       permission notice shall be included in all copies or substantial portions of the Software. THE \
                       SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND";
    if package.license.is_some() {
        return package.license.clone();
    }
    let text = fs::read_to_string(package.license_file()?).ok()?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let rest = words.join(" ");
    // Nothing beside it but its title, whose it is, and the rest of the disclaimer.
    let is_mit = rest.find(MIT).is_some_and(|at| at < 200) && rest.len() < 1200;
    is_mit.then(|| "MIT".to_owned())
}

#[test]
fn third_parties_come_from_the_public_registry() {
    let allowed = deny().sources.allow_registry;
    let wrong = third_parties().filter(|package| {
        let source = package.source.as_ref().map(ToString::to_string).unwrap_or_default();
        !allowed.iter().any(|registry| source == format!("registry+{registry}"))
    });
    none_of(
        wrong.map(|package| format!("{} {}", package.name, package.version)),
        "A clone builds for everybody. Take a released version from crates.io of:",
    );
}

#[test]
fn nothing_that_is_banned_is_compiled() {
    let bans = deny().bans.deny;
    let wrong = workspaces().iter().flat_map(|workspace| banned_in(workspace, &bans));
    none_of(
        wrong,
        "deny.toml forbids what comes in here. Turn off the feature that brings it, or go through the port:",
    );
}

/// What a workspace compiles that it must not, with its user and the reason.
fn banned_in(workspace: &Metadata, bans: &[Ban]) -> Vec<String> {
    let packages: BTreeMap<&PackageId, &Package> = workspace
        .packages
        .iter()
        .map(|package| (&package.id, package))
        .collect();
    let graph = workspace.resolve.as_ref().expect("cargo resolved the graph");
    let mut wrong = Vec::new();
    for ban in bans {
        for node in &graph.nodes {
            let user = packages[&node.id];
            if ban.wrappers.iter().any(|wrapper| user.name == wrapper) {
                continue;
            }
            let banned = node
                .dependencies
                .iter()
                .map(|id| packages[id])
                .filter(|used| used.name == ban.name);
            let banned = banned.filter(|used| {
                ban.version
                    .as_ref()
                    .is_none_or(|versions| versions.matches(&used.version))
            });
            wrong.extend(
                banned.map(|used| format!("{} uses {} {}, but {}", user.name, used.name, used.version, ban.reason)),
            );
        }
    }
    wrong
}
