//! Our figures beside those of the peers' drivers, run in turns on the same servers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::Parser;
use serde_json::Value;
use tokio::process::Command;

use crate::rig::BoxError;

/// Rounds, in turns; the median counts.
const ROUNDS: usize = 3;
const FIGURES: [&str; 4] = ["enqueue_per_s", "drain_per_s", "p50_ms", "p99_ms"];

/// Which systems, and how much.
#[derive(Parser)]
pub(crate) struct Comparing {
    /// Where our messages are kept.
    #[arg(long, default_value = "postgres")]
    provider: String,
    /// How many messages.
    #[arg(long, default_value_t = 20_000)]
    n: usize,
    /// The folders of drivers: `peers` holds those for Node, `peers-rs` the one in Rust, already built.
    #[arg(long)]
    peers: Option<PathBuf>,
}

/// A program that prints one JSON line with some of the figures.
struct Driver {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    folder: Option<PathBuf>,
}

/// Runs all of them, and answers one table.
pub(crate) async fn compare(comparing: &Comparing) -> Result<String, BoxError> {
    let drivers = drivers(comparing)?;
    let mut found: BTreeMap<String, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for driver in &drivers {
            let line = run(driver, comparing.n).await?;
            let figures = found.entry(driver.name.clone()).or_default();
            for figure in FIGURES {
                if let Some(value) = line.get(figure).and_then(Value::as_f64) {
                    figures.entry(figure).or_default().push(value);
                }
            }
        }
    }
    Ok(table(&found))
}

fn drivers(comparing: &Comparing) -> Result<Vec<Driver>, BoxError> {
    let program = std::env::current_exe()?;
    let ours = ["drain", "enqueue", "latency"].map(|workload| Driver {
        name: format!("aftercommit, {}", comparing.provider),
        program: program.clone(),
        arguments: [
            workload,
            "--provider",
            &comparing.provider,
            "--n",
            &comparing.n.to_string(),
        ]
        .map(str::to_owned)
        .to_vec(),
        folder: None,
    });
    let mut drivers: Vec<Driver> = ours.into_iter().collect();
    let Some(folder) = &comparing.peers else {
        return Ok(drivers);
    };
    for name in ["bullmq", "graphile-worker", "pg-boss"] {
        let script = format!("{name}.mjs");
        let is_installed = folder.join("peers/node_modules").is_dir() && folder.join("peers").join(&script).is_file();
        if is_installed {
            drivers.push(Driver {
                name: name.into(),
                program: "node".into(),
                arguments: vec![script],
                folder: Some(folder.join("peers")),
            });
        } else {
            eprintln!("bench: {name} is not installed in {}", folder.display());
        }
    }
    let river = folder.join("peers-rs/target/release/peer-drivers");
    if river.is_file() {
        drivers.push(Driver {
            name: "river for Rust".into(),
            program: river,
            arguments: Vec::new(),
            folder: None,
        });
    }
    Ok(drivers)
}

/// The figures are in the last line that is JSON.
async fn run(driver: &Driver, n: usize) -> Result<Value, BoxError> {
    let mut command = Command::new(&driver.program);
    command
        .args(&driver.arguments)
        .envs([("N", n.to_string()), ("M", "100".into())])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .current_dir(driver.folder.as_deref().unwrap_or(Path::new(".")))
        .kill_on_drop(true);
    let output = command.output().await?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    line.ok_or_else(|| format!("{} printed no figures: {}", driver.name, output.status).into())
}

fn table(found: &BTreeMap<String, BTreeMap<&str, Vec<f64>>>) -> String {
    let mut text =
        format!("| system (medians of {ROUNDS}) | enqueue/s | drain/s | p50 ms | p99 ms |\n|---|---|---|---|---|\n");
    for (name, figures) in found {
        let shown = FIGURES.map(|figure| {
            let mut values = figures.get(figure).cloned().unwrap_or_default();
            values.sort_by(f64::total_cmp);
            values
                .get(values.len() / 2)
                .map_or_else(|| "–".to_owned(), ToString::to_string)
        });
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {name} | {} |", shown.join(" | "));
    }
    text
}
