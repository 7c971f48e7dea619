//! The programs under test, built once for each process of tests.

use std::collections::HashMap;
use std::fs::{self, File};
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
    /// `aftercommit`, built so that a test can make it die at a point.
    WithFailpoints,
    /// An application of these tests' own: `env!("CARGO_BIN_EXE_…")`.
    Own(&'static str),
}

type Built = OnceLock<Option<HashMap<String, PathBuf>>>;

impl Program {
    /// Its path. The first call builds it, so that the tests work from a clean clone and never run a program that is older
    /// than the sources.
    pub fn binary(self) -> PathBuf {
        static PRODUCT: Built = OnceLock::new();
        static WITH_FAILPOINTS: Built = OnceLock::new();
        let (name, built, selection) = match self {
            Self::Everything => ("aftercommit", &PRODUCT, &SHIPPED),
            Self::Api => ("aftercommit-api", &PRODUCT, &SHIPPED),
            Self::Workers => ("aftercommit-workers", &PRODUCT, &SHIPPED),
            Self::WithFailpoints => ("aftercommit", &WITH_FAILPOINTS, &FAILPOINTS),
            // Cargo has built it with the test.
            Self::Own(path) => return path.into(),
        };
        // Every test fails with the first when it does not build, without trying again.
        let built = built.get_or_init(|| build_and_keep(selection));
        built.as_ref().unwrap().get(name).unwrap().clone()
    }

    /// The program whose commands look at a process of this one.
    pub(crate) const fn command_line(self) -> Self {
        match self {
            Self::Everything | Self::Api | Self::Workers | Self::Own(_) => Self::Everything,
            Self::WithFailpoints => Self::WithFailpoints,
        }
    }
}

/// What is built together, and what its programs are kept under.
struct Selection {
    arguments: &'static [&'static str],
    kept_as: &'static str,
}

const SHIPPED: Selection = Selection {
    arguments: &[
        "build",
        "--bins",
        "--package",
        "aftercommit-cli",
        "--package",
        "aftercommit-api",
        "--package",
        "aftercommit-workers",
    ],
    kept_as: "shipped",
};
/// What cargo has built beside the tests of the whole workspace, so that nothing is built once more for it.
const FAILPOINTS: Selection = Selection {
    arguments: &["test", "--no-run", "--workspace", "--all-features"],
    kept_as: "failpoints",
};

/// The programs under paths of their own, because the next build of others takes the usual ones: of this process of tests, or
/// of another that runs beside it.
fn build_and_keep(selection: &Selection) -> Option<HashMap<String, PathBuf>> {
    let folder = std::env::current_exe().unwrap();
    let lock = File::create(folder.with_file_name("programs-under-test.lock")).unwrap();
    lock.lock().unwrap();
    let mut built = build(selection.arguments)?;
    for program in built.values_mut() {
        let kept = program.with_extension(selection.kept_as);
        // Others may run it at this moment: it is replaced by one that is there as a whole.
        let new = program.with_extension("new");
        let _ = fs::remove_file(&new);
        fs::hard_link(&*program, &new).unwrap();
        fs::rename(&new, &kept).unwrap();
        // Two names of one file stay both, where a name of it was there.
        let _ = fs::remove_file(&new);
        *program = kept;
    }
    Some(built)
}

/// What cargo tells a test about its package. Handed on to another cargo they change what the build script of a dependency
/// (ring) has seen, so that half of everything is built again.
const OF_THE_PACKAGE: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// The programs of this selection of packages by name.
fn build(selection: &[&str]) -> Option<HashMap<String, PathBuf>> {
    #[expect(clippy::disallowed_methods, reason = "cargo tells its children where it is")]
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    for name in OF_THE_PACKAGE {
        command.env_remove(name);
    }
    command
        .args(selection)
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
    let programs = messages.filter(|message| {
        message["reason"] == "compiler-artifact"
            && message["target"]["kind"][0] == "bin"
            && message["profile"]["test"] == false
    });
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
