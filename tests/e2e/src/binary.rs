//! The program under test, built once for each process of tests.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

static BINARY: OnceLock<Option<PathBuf>> = OnceLock::new();

/// The path of `aftercommit`. The first call builds it, so that the tests work from a clean clone and never run a
/// program that is older than the sources.
pub(crate) fn binary() -> PathBuf {
    // Every test fails with the first when it does not build, without trying again.
    BINARY.get_or_init(build).clone().unwrap()
}

fn build() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "cargo tells its children where it is")]
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--package", "aftercommit-cli", "--bin", "aftercommit"])
        .args(["--message-format", "json-render-diagnostics", "--profile", &profile()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command.output().unwrap();
    if !output.status.success() {
        return None;
    }
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == "aftercommit")
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
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
