//! The programs under test, built once for each process of tests.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// A program of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `aftercommit`: everything in one process, and the command line.
    Everything,
    /// `aftercommit-api`: only answers requests.
    Api,
    /// `aftercommit-workers`: only does what follows from them.
    Workers,
    /// An application of these tests' own: `env!("CARGO_BIN_EXE_…")`.
    Own(&'static str),
}

type Built = OnceLock<Option<HashMap<String, PathBuf>>>;

impl Program {
    /// Its path. The first call builds it, so that the tests work from a clean clone and never run a program that is older
    /// than the sources.
    pub(crate) fn binary(self) -> PathBuf {
        static EVERYTHING: Built = OnceLock::new();
        static PARTS: Built = OnceLock::new();
        let (name, built, packages): (_, _, &[&str]) = match self {
            Self::Everything => ("aftercommit", &EVERYTHING, &["aftercommit-cli"]),
            Self::Api => ("aftercommit-api", &PARTS, &["aftercommit-api", "aftercommit-workers"]),
            Self::Workers => (
                "aftercommit-workers",
                &PARTS,
                &["aftercommit-api", "aftercommit-workers"],
            ),
            // Cargo has built it with the test.
            Self::Own(path) => return path.into(),
        };
        // Every test fails with the first when it does not build, without trying again.
        let built = built.get_or_init(|| build(packages)).as_ref().unwrap();
        built.get(name).unwrap().clone()
    }
}

/// The programs of these packages by name.
fn build(packages: &[&str]) -> Option<HashMap<String, PathBuf>> {
    #[expect(clippy::disallowed_methods, reason = "cargo tells its children where it is")]
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--bins"])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .args(["--message-format", "json-render-diagnostics", "--profile", &profile()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command.output().unwrap();
    if !output.status.success() {
        return None;
    }
    let output = String::from_utf8(output.stdout).unwrap();
    let messages = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs = messages.filter(|message| message["reason"] == "compiler-artifact");
    let named = programs.filter_map(|message| {
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    });
    Some(named.collect())
}

/// The profile these tests were built with: they lie in `<target>/<profile>/deps`.
fn profile() -> String {
    let own = std::env::current_exe().unwrap();
    let folder = own
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .file_name()
        .unwrap();
    match folder.to_str().unwrap() {
        "debug" => "dev".to_owned(),
        other => other.to_owned(),
    }
}
