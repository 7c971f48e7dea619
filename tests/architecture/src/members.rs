//! The packages of this workspace, as cargo knows them.

use std::process::Command;
use std::sync::OnceLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use crate::sources::root;

/// A package of this workspace.
pub struct Member {
    /// Its folder from the root: `crates/domain`.
    pub folder: String,
    /// What it is for, which decides what it may depend on.
    pub kind: Kind,
    /// What cargo knows of it.
    pub package: &'static Package,
}

/// What a package is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Contracts, ports, pure decisions.
    Domain,
    /// The derives.
    DomainMacros,
    /// The loops over ports.
    Runtime,
    /// Configuration and telemetry, which know nothing of the domain.
    Foundation,
    /// What implements ports.
    Adapter,
    /// Suites and fakes.
    Testkit,
    /// The library's face.
    Facade,
    /// One process of the reference product.
    App,
    /// The process that hosts the others, and the command line.
    Host,
    /// A program on the kit.
    Example,
    /// Tests over several packages, and workloads.
    Outside,
    /// The tasks of this workspace itself.
    Tooling,
}

impl Member {
    /// Its name: `aftercommit-domain`.
    pub fn name(&self) -> &str {
        self.package.name.as_str()
    }

    /// Whether adopters depend on it.
    pub fn is_kit(&self) -> bool {
        self.folder.starts_with("crates/")
    }

    /// The packages of this workspace it depends on in this way.
    pub fn depends_on(&self, kinds: &[DependencyKind]) -> Vec<&'static Member> {
        self.package
            .dependencies
            .iter()
            .filter(|dependency| kinds.contains(&dependency.kind))
            .filter_map(|dependency| members().iter().find(|member| member.name() == dependency.name))
            .collect()
    }

    /// Its `Cargo.toml`.
    pub fn manifest(&self) -> String {
        std::fs::read_to_string(&self.package.manifest_path).expect("a package has a manifest")
    }
}

/// Every package of this workspace, by folder.
pub fn members() -> &'static [Member] {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    static MEMBERS: OnceLock<Vec<Member>> = OnceLock::new();
    MEMBERS.get_or_init(|| {
        let metadata = METADATA.get_or_init(|| {
            MetadataCommand::new()
                .current_dir(root())
                .no_deps()
                .exec()
                .expect("cargo describes the workspace")
        });
        let mut members: Vec<Member> = metadata
            .packages
            .iter()
            .map(|package| describe(metadata, package))
            .collect();
        members.sort_by(|a, b| a.folder.cmp(&b.folder));
        members
    })
}

/// The package in this folder.
pub fn member(folder: &str) -> &'static Member {
    members()
        .iter()
        .find(|member| member.folder == folder)
        .expect("the folder is a package of this workspace")
}

/// Every package, of this workspace or not, that `package` compiles as a library or program on this platform when it is
/// built by itself with `features` (`--all-features`, or nothing).
pub fn packages_below(package: &str, features: &[&str]) -> Vec<String> {
    let output = Command::new("cargo")
        .args([
            "tree",
            "--package",
            package,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .args(features)
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    assert!(
        output.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut names: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty() && *name != package)
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

fn describe(metadata: &'static Metadata, package: &'static Package) -> Member {
    let folder = package
        .manifest_path
        .parent()
        .and_then(|folder| folder.strip_prefix(&metadata.workspace_root).ok())
        .expect("a member is below the root")
        .to_string();
    Member {
        kind: kind(&folder),
        folder,
        package,
    }
}

fn kind(folder: &str) -> Kind {
    match folder {
        "crates/domain" => Kind::Domain,
        "crates/domain-macros" => Kind::DomainMacros,
        "crates/runtime" => Kind::Runtime,
        "crates/platform-config" | "crates/platform-telemetry" => Kind::Foundation,
        "crates/testkit" => Kind::Testkit,
        "crates/aftercommit" => Kind::Facade,
        "apps/aftercommit" => Kind::Host,
        "xtask" => Kind::Tooling,
        "bench" => Kind::Outside,
        _ if folder.starts_with("crates/platform-") => Kind::Adapter,
        _ if folder.starts_with("apps/") => Kind::App,
        _ if folder.starts_with("examples/") => Kind::Example,
        _ if folder.starts_with("tests/") => Kind::Outside,
        _ => {
            panic!("{folder} is a new kind of package: say in tests/architecture/src/members.rs what it may depend on")
        }
    }
}
