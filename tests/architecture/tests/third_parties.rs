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

/// The packages of this platform with all features. Not of all platforms: those would have to be downloaded first.
fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
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
        MetadataCommand::new()
            .current_dir(root())
            .features(CargoOpt::AllFeatures)
            .other_options(["--filter-platform".to_owned(), host.to_owned()])
            .exec()
            .expect("cargo describes the packages")
    })
}

fn third_parties() -> impl Iterator<Item = &'static Package> {
    metadata().packages.iter().filter(|package| package.source.is_some())
}

#[test]
fn third_parties_have_a_permissive_licence() {
    let allowed = deny().licenses.allow;
    let wrong = third_parties().filter(|package| {
        let expression = package
            .license
            .as_deref()
            .map(|text| Expression::parse_mode(text, ParseMode::LAX));
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
    let packages: BTreeMap<&PackageId, &Package> = metadata()
        .packages
        .iter()
        .map(|package| (&package.id, package))
        .collect();
    let graph = metadata().resolve.as_ref().expect("cargo resolved the graph");
    let mut wrong = Vec::new();
    for ban in deny().bans.deny {
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
    none_of(
        wrong,
        "deny.toml forbids what comes in here. Turn off the feature that brings it, or go through the port:",
    );
}
