//! `cargo xtask check`.

use std::process::{Command, Stdio};

use crate::kit::Workspace;
use crate::mutants;
use crate::step::{Problem, Step, heading};

/// Runs every check, also after one failed, so that one run shows all there is to do. `Ok(true)`: all passed.
pub(crate) fn run() -> Result<bool, Problem> {
    let workspace = Workspace::load()?;
    let mut failed = Vec::new();
    for step in steps(&workspace) {
        let name = step.name.clone();
        if !step.run()? {
            failed.push(name);
        }
    }
    let third_parties = "third parties: bans, licences, sources (deny.toml)";
    if !cargo_deny(third_parties)? {
        failed.push(third_parties.to_owned());
    }
    if !mutants::fit()? {
        failed.push("the mutants fit".to_owned());
    }
    println!();
    if failed.is_empty() {
        println!("All checks passed.");
    } else {
        println!("Failed checks:");
        for name in &failed {
            println!("- {name}");
        }
    }
    Ok(failed.is_empty())
}

fn steps(workspace: &Workspace) -> Vec<Step> {
    let mut steps = vec![
        Step::cargo(
            "formatting (repair with `cargo fmt --all`)",
            ["fmt", "--all", "--check"],
        ),
        // Its lints are looked at where it is built: `cargo xtask test --pass temporal`.
        Step::cargo(
            "formatting of what runs on Temporal",
            [
                "fmt",
                "--all",
                "--manifest-path",
                "crates/platform-workflows-temporal/Cargo.toml",
                "--check",
            ],
        ),
        Step::cargo(
            "lints of everything",
            [
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ],
        ),
    ];
    // One at a time, because packages that are built together lend each other their features. Clippy rather than check: it
    // also refuses what only the missing feature leaves unused. What ships; the tests without the feature are a pass of their
    // own.
    steps.extend(workspace.without_reference().iter().map(|package| {
        Step::cargo(
            format!("{package} alone, without the feature `reference`"),
            ["clippy", "--package", package, "--", "-D", "warnings"],
        )
    }));
    let mut documentation = vec!["doc", "--no-deps"];
    documentation.extend(workspace.kit().iter().flat_map(|package| ["--package", package]));
    steps.push(Step::cargo("documentation of the kit", documentation).env("RUSTDOCFLAGS", "-D warnings"));
    steps
}

/// `Ok(true)` also when cargo-deny is not there, but never in silence.
fn cargo_deny(name: &str) -> Result<bool, Problem> {
    let installed = Command::new("cargo")
        .args(["deny", "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if installed {
        return Step::cargo(name, ["deny", "check", "bans", "licenses", "sources"]).run();
    }
    heading(name);
    println!("   NOT CHECKED: cargo-deny is not installed (`cargo install --locked cargo-deny`).");
    println!(
        "   What this platform compiles is still held to deny.toml by `cargo test -p aftercommit-architecture-tests`."
    );
    Ok(true)
}
