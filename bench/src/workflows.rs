//! Workflows on Temporal: a program in the workspace of its SDK, which the ordinary build never compiles.

use std::path::Path;
use std::process::Stdio;

use clap::Parser;
use tokio::process::Command;

use crate::rig::BoxError;

/// What cargo told this program about its package: handed on, it would make the other cargo build things again.
const OF_THE_PACKAGE: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// What that program is told.
#[derive(Parser)]
pub(crate) struct Passed {
    /// Its arguments; `--help` after `--` tells them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds and runs it; answers its last line.
pub(crate) async fn workflows(passed: &Passed) -> Result<String, BoxError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new("cargo");
    for name in OF_THE_PACKAGE {
        command.env_remove(name);
    }
    command
        .args(["run", "--release", "--locked", "--package", "bench-workflows"])
        .arg("--manifest-path")
        .arg(root.join("crates/platform-workflows-temporal/Cargo.toml"))
        .arg("--target-dir")
        .arg(root.join("target/temporal"))
        .arg("--")
        .args(&passed.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    eprintln!("bench: {:?}", command.as_std());
    let output = command.spawn()?.wait_with_output().await?;
    if !output.status.success() {
        return Err(format!("it ended with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
