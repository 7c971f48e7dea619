//! Which packages there are, asked of cargo, so that a new one cannot be forgotten.

use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand, Package};
use serde::Deserialize;

use crate::step::Problem;

/// The packages of this workspace.
pub(crate) struct Workspace {
    metadata: Metadata,
}

/// A program under `examples/`, and what it must print.
pub(crate) struct Example {
    pub(crate) package: String,
    /// Where cargo puts its binary.
    pub(crate) binary: PathBuf,
    /// Each must be part of a line of its output.
    pub(crate) prints: Vec<String>,
}

#[derive(Deserialize)]
struct ExampleMetadata {
    xtask: ExamplePrints,
}

#[derive(Deserialize)]
struct ExamplePrints {
    prints: Vec<String>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self, Problem> {
        let metadata = MetadataCommand::new().no_deps().exec()?;
        Ok(Self { metadata })
    }

    /// Where the workspace is.
    pub(crate) fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// Where cargo builds.
    pub(crate) fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// Where cargo puts what it built for development.
    pub(crate) fn built(&self) -> PathBuf {
        self.target().join("debug")
    }

    /// The package of this name.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.metadata.packages.iter().find(|package| package.name == name)
    }

    /// The kit: what adopters depend on, each of which must stand alone and without the reference product.
    pub(crate) fn kit(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .packages_in("crates")
            .map(|package| package.name.as_str())
            .collect();
        names.sort_unstable();
        names
    }

    /// What must work without the reference product: the kit, and the programs on it.
    pub(crate) fn without_reference(&self) -> Vec<&str> {
        let mut names = self.kit();
        names.extend(self.packages_in("examples").map(|package| package.name.as_str()));
        names
    }

    /// What is another program without the reference product: the packages of the kit that can hold it, and the programs on
    /// the kit. The others have the same code either way; that each compiles alone is what `cargo xtask check` looks at.
    pub(crate) fn changed_by_reference(&self) -> Vec<&str> {
        let holds_it = |package: &&Package| package.features.contains_key("reference");
        let mut names: Vec<&str> = self
            .packages_in("crates")
            .filter(holds_it)
            .chain(self.packages_in("examples"))
            .map(|package| package.name.as_str())
            .collect();
        names.sort_unstable();
        names
    }

    /// The programs under `examples/`. `Err` when one does not say what it prints.
    pub(crate) fn examples(&self) -> Result<Vec<Example>, Problem> {
        self.packages_in("examples")
            .map(|package| self.example(package))
            .collect()
    }

    fn example(&self, package: &Package) -> Result<Example, Problem> {
        let name = package.name.to_string();
        let metadata: ExampleMetadata = serde::Deserialize::deserialize(package.metadata.clone()).map_err(|error| {
            format!(
                "{}: {error}; say what the program prints: `[package.metadata.xtask] prints = [\"…\"]`",
                package.manifest_path
            )
        })?;
        let binary = package
            .targets
            .iter()
            .find(|target| target.is_bin())
            .ok_or_else(|| format!("{name} has no binary, but an example is a program that runs"))?;
        Ok(Example {
            binary: self.built().join(&binary.name),
            package: name,
            prints: metadata.xtask.prints,
        })
    }

    fn packages_in(&self, folder: &str) -> impl Iterator<Item = &Package> {
        let folder = self.metadata.workspace_root.join(folder);
        self.metadata
            .packages
            .iter()
            .filter(move |package| package.manifest_path.starts_with(&folder))
    }
}
