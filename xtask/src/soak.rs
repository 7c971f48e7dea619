//! `cargo xtask soak`: the fault tests with their full counts.
//!
//! `cargo xtask test` runs the same tests shortened. This takes about three hours, and the fuzz targets (`--part fuzz`) an hour
//! for each of them; it wants the machine for itself. With
//! `--record FILE` the result is written down, with everything the tests printed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::fuzz;
use crate::kit::Workspace;
use crate::postgres;
use crate::rabbitmq;
use crate::step::{Problem, Step, heading};
use crate::tally::Tally;
use crate::temporal;

/// A group of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// PostgreSQL, relays and workers are killed under load.
    Kills,
    /// A process dies at each step of its way.
    CrashPoints,
    /// A process dies, or is told to stop, at each point of its code.
    Failpoints,
    /// Random processes of the product are killed under the demonstration, on each provider.
    DemoKills,
    /// A process is stopped past its lease, and goes on.
    Zombies,
    /// A worker is stopped for two minutes amid its handlers, and goes on.
    StoppedWorkers,
    /// Applications are told to stop and killed, and what they leave behind is compared.
    Endings,
    /// Connections that end, hang, are half open, are refused; tables that are locked.
    Outages,
    /// No room for the write-ahead log. Needs root.
    DiskFull,
    /// A transaction that stays open.
    PinnedHorizon,
    /// PostgreSQL, RabbitMQ, relays and workers are killed under load, and links are cut.
    BrokerKills,
    /// Relays and workers are restarted one after the other under load.
    BrokerRestarts,
    /// The broker is away, or short of memory.
    BrokerOutages,
    /// Publishers of one key are killed, with the broker.
    CoalescingKills,
    /// What only a broker can show of the queue on it.
    Broker,
    /// What only a server can show of the stores.
    Stores,
    /// What only a server can show of the queue.
    Queue,
    /// Workers of workflows are killed and stopped at every step of an export, Temporal is killed, and away for ten minutes.
    Workflows,
    /// The runtime in worlds of a million seeds.
    Simulation,
    /// The fuzz targets, an hour each.
    Fuzz,
}

/// How a part is run.
struct Run {
    package: &'static str,
    test: &'static str,
    counts: &'static [(&'static str, &'static str)],
    /// Only tests that are otherwise ignored, because they need something.
    ignored: bool,
    /// The profile it is built with.
    profile: &'static str,
    /// The feature it needs.
    feature: Option<&'static str>,
}

/// What came of a part.
struct Report {
    part: Part,
    command: String,
    verdict: String,
    took: Duration,
    /// What the tests printed.
    lines: Vec<String>,
}

impl Part {
    /// `None` for the fuzz targets, which are in many packages, and for what is in a workspace of its own.
    fn run(self) -> Option<Run> {
        let e2e = |test, counts| Run {
            package: "aftercommit-e2e",
            test,
            counts,
            ignored: false,
            profile: "dev",
            feature: None,
        };
        Some(match self {
            Self::Kills => e2e(
                "postgres_kills",
                &[
                    ("AFTERCOMMIT_E2E_EVENTS", "10000"),
                    ("AFTERCOMMIT_E2E_PG_KILLS", "5"),
                    ("AFTERCOMMIT_E2E_WORKER_KILLS", "20"),
                ],
            ),
            Self::CrashPoints => e2e("postgres_crash_points", &[("AFTERCOMMIT_E2E_CRASHES", "20")]),
            Self::Failpoints => Run {
                feature: Some("failpoints"),
                ..e2e("crash_points", &[("AFTERCOMMIT_E2E_CRASHES", "20")])
            },
            Self::DemoKills => e2e(
                "demo_kills",
                &[("AFTERCOMMIT_E2E_DEMO_KILLS", "200"), ("AFTERCOMMIT_E2E_RATE", "200")],
            ),
            Self::Zombies => e2e("postgres_zombies", &[("AFTERCOMMIT_E2E_ZOMBIES", "20")]),
            Self::StoppedWorkers => e2e("stopped_workers", &[("AFTERCOMMIT_E2E_STOPPED", "120")]),
            Self::Endings => e2e("endings", &[("AFTERCOMMIT_E2E_STOPS", "100")]),
            Self::Outages => e2e(
                "postgres_outages",
                &[
                    ("AFTERCOMMIT_E2E_OUTAGE_SECONDS", "60"),
                    ("AFTERCOMMIT_E2E_HALF_OPEN", "50"),
                ],
            ),
            Self::DiskFull => Run {
                ignored: true,
                ..e2e("postgres_disk_full", &[])
            },
            Self::PinnedHorizon => e2e("postgres_pinned_horizon", &[("AFTERCOMMIT_E2E_PINNED_SECONDS", "300")]),
            Self::BrokerKills => e2e(
                "broker_kills",
                &[
                    ("AFTERCOMMIT_E2E_EVENTS", "10000"),
                    ("AFTERCOMMIT_E2E_PG_KILLS", "5"),
                    ("AFTERCOMMIT_E2E_BROKER_KILLS", "5"),
                    ("AFTERCOMMIT_E2E_RELAY_KILLS", "5"),
                    ("AFTERCOMMIT_E2E_WORKER_KILLS", "20"),
                    ("AFTERCOMMIT_E2E_CUTS", "20"),
                ],
            ),
            Self::BrokerRestarts => e2e(
                "broker_restarts",
                &[("AFTERCOMMIT_E2E_RESTARTS", "50"), ("AFTERCOMMIT_E2E_EVENTS", "8000")],
            ),
            Self::BrokerOutages => e2e(
                "broker_outages",
                &[
                    ("AFTERCOMMIT_E2E_AWAY", "180"),
                    ("AFTERCOMMIT_E2E_ALARM", "120"),
                    ("AFTERCOMMIT_E2E_EVENTS", "5000"),
                ],
            ),
            Self::CoalescingKills => e2e(
                "coalescing_kills",
                &[("AFTERCOMMIT_E2E_PUBLISHES", "1000"), ("AFTERCOMMIT_E2E_ROUNDS", "20")],
            ),
            Self::Broker => Run {
                package: "aftercommit-platform-queue-amqp",
                ..e2e("faults", &[])
            },
            Self::Stores => Run {
                package: "aftercommit-platform-db-postgres",
                ..e2e("guarantees", &[])
            },
            Self::Queue => Run {
                package: "aftercommit-platform-queue-postgres",
                ..e2e("queue", &[])
            },
            Self::Simulation => Run {
                package: "aftercommit-simulation",
                profile: "simulation",
                ..e2e("simulation", &[("AFTERCOMMIT_SIM_SEEDS", "1000000")])
            },
            Self::Workflows | Self::Fuzz => return None,
        })
    }

    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Runs these parts, or all. `Ok(true)`: all of them ran, and nothing failed.
pub(crate) fn run(parts: &[Part], seed: u64, record: Option<&Path>) -> Result<bool, Problem> {
    postgres::provide()?;
    rabbitmq::provide()?;
    let chosen = |part: &&Part| parts.is_empty() || parts.contains(part);
    let mut reports = Vec::new();
    for part in Part::value_variants().iter().filter(chosen) {
        reports.push(report(*part, seed)?);
    }
    heading("soak");
    println!("{}", table(&reports));
    if let Some(file) = record {
        fs::write(file, document(&reports, seed)?)?;
        println!("written to {}", file.display());
    }
    Ok(reports.iter().all(|report| report.verdict.starts_with("ok")))
}

fn report(part: Part, seed: u64) -> Result<Report, Problem> {
    let Some(run) = part.run() else {
        return if part == Part::Workflows {
            workflows()
        } else {
            fuzzed(part)
        };
    };
    let seed = seed.to_string();
    let mut arguments = vec![
        "test",
        "--profile",
        run.profile,
        "--package",
        run.package,
        "--test",
        run.test,
    ];
    arguments.extend(run.feature.iter().flat_map(|feature| ["--features", feature]));
    arguments.push("--");
    // One after the other, so that each has the machine for itself.
    arguments.extend(["--nocapture", "--test-threads=1"]);
    if run.ignored {
        arguments.push("--ignored");
    }
    let mut command = String::new();
    let mut step = Step::cargo(part.name(), arguments.iter().copied())
        .env("AFTERCOMMIT_E2E_SEED", &seed)
        .env("AFTERCOMMIT_SIM_SEED", &seed);
    for (variable, count) in run.counts {
        step = step.env(variable, count);
        write!(command, "{variable}={count} ")?;
    }
    write!(command, "cargo {}", arguments.join(" "))?;
    let started = Instant::now();
    let mut lines = Vec::new();
    let (verdict, took) = if run.ignored && !is_root()? {
        heading(&part.name());
        println!("   NOT RUN: it needs root to mount a file system of its own");
        ("NOT RUN: needs root".to_owned(), Duration::ZERO)
    } else {
        let tally = step.run_tests_heard_by(|line| lines.extend(said(line)))?;
        (verdict(&tally), started.elapsed())
    };
    Ok(Report {
        part,
        command,
        verdict,
        took,
        lines,
    })
}

/// The counts of the fault tests of workflows.
const WORKFLOW_COUNTS: [(&str, &str); 2] = [
    ("AFTERCOMMIT_E2E_WORKFLOW_FAULTS", "5"),
    ("AFTERCOMMIT_E2E_WORKFLOW_AWAY", "600"),
];

fn workflows() -> Result<Report, Problem> {
    let mut step = temporal::faults(&Workspace::load()?)?;
    let mut command = String::new();
    for (variable, count) in WORKFLOW_COUNTS {
        step = step.env(variable, count);
        write!(command, "{variable}={count} ")?;
    }
    write!(command, "cargo xtask soak --part {}", Part::Workflows.name())?;
    let (started, mut lines) = (Instant::now(), Vec::new());
    let tally = step.run_tests_heard_by(|line| lines.extend(said(line)))?;
    Ok(Report {
        part: Part::Workflows,
        command,
        verdict: verdict(&tally),
        took: started.elapsed(),
        lines,
    })
}

fn fuzzed(part: Part) -> Result<Report, Problem> {
    let (started, mut lines) = (Instant::now(), Vec::new());
    let tally = fuzz::run(fuzz::IN_SOAK, |line| lines.extend(said(line)))?;
    Ok(Report {
        part,
        command: format!("cargo xtask soak --part {}", part.name()),
        verdict: verdict(&tally),
        took: started.elapsed(),
        lines,
    })
}

fn verdict(tally: &Tally) -> String {
    match (tally.passed, tally.failed) {
        (0, 0) => "FAILED: no test ran".to_owned(),
        (passed, 0) => format!("ok, {passed} tests"),
        (passed, failed) => format!("FAILED: {failed} of {}", passed + failed),
    }
}

fn is_root() -> Result<bool, Problem> {
    Ok(Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0")
}

/// What a test itself printed in this line; nothing when it is the harness's.
fn said(line: &str) -> Option<String> {
    // The first line of a test comes behind its name.
    let line = match line.strip_prefix("test ") {
        Some(rest) => rest.split_once(" ... ").map_or("", |(_, said)| said),
        None => line,
    };
    let is_harness = line.trim().is_empty()
        || matches!(line, "ok" | "FAILED" | "failures:")
        || line.starts_with("ignored")
        || line.starts_with("running ")
        || line.starts_with("result: ");
    (!is_harness).then(|| line.to_owned())
}

fn table(reports: &[Report]) -> String {
    let mut table = "| part | verdict | took |\n|---|---|---|\n".to_owned();
    for report in reports {
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {:.0} s |",
            report.part.name(),
            report.verdict,
            report.took.as_secs_f64()
        );
    }
    table
}

fn document(reports: &[Report], seed: u64) -> Result<String, Problem> {
    let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output()?;
    let commit = String::from_utf8(commit.stdout)?;
    let cores = std::thread::available_parallelism()?;
    let mut text = format!(
        "# Faults\n\n`cargo xtask soak --seed {seed}` at commit {} on {cores} cores, debug build but for the simulation.\n\n{}",
        commit.trim(),
        table(reports)
    );
    for report in reports {
        write!(text, "\n## {}\n\n`{}`\n", report.part.name(), report.command)?;
        if !report.lines.is_empty() {
            write!(text, "\n```text\n{}\n```\n", report.lines.join("\n"))?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_test_says_is_told_from_what_the_harness_says() {
        for harness in [
            "",
            "running 3 tests",
            "test a_name ... ok",
            "test a_name ... FAILED",
            "ok",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "test other ... ignored, needs root",
        ] {
            assert_eq!(said(harness), None, "{harness}");
        }
        assert_eq!(
            said("test a_name ... ledger: lost 0").as_deref(),
            Some("ledger: lost 0")
        );
        assert_eq!(said("ledger: ghosts 0").as_deref(), Some("ledger: ghosts 0"));
    }

    #[test]
    fn a_part_in_which_nothing_ran_is_no_success() {
        assert!(verdict(&Tally::default()).starts_with("FAILED"));
        let tally = Tally {
            passed: 2,
            ..Tally::default()
        };
        assert_eq!(verdict(&tally), "ok, 2 tests");
    }
}
