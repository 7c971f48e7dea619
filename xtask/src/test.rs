//! `cargo xtask test`.

use std::fmt;
use std::thread;
use std::time::Instant;

use clap::ValueEnum;
use serde::Deserialize;

use crate::adopt;
use crate::example;
use crate::expected::ExpectedTests;
use crate::fuzz;
use crate::guides;
use crate::interop;
use crate::kit::Workspace;
use crate::newest_postgres;
use crate::postgres;
use crate::rabbitmq;
use crate::s3;
use crate::step::{Problem, Step, heading};
use crate::tally::Tally;
use crate::temporal::{self, BuildAhead};
use crate::test_program::{ALL, Run, TestProgram};

/// The package that runs the runtime in worlds of its own.
const SIMULATION: &str = "aftercommit-simulation";

/// A part of the tests that is built with the same features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pass {
    /// All packages with all features, documentation tests included.
    Workspace,
    /// The runtime in worlds of 10 000 seeds.
    Simulation,
    /// Python and Node beside the processes of the product.
    Interop,
    /// The fuzz targets, a minute each.
    Fuzz,
    /// What the kit is without the feature `reference`, and the programs on it.
    ///
    /// In one build, so that every library is compiled once more and not once for each package. That is as good as one
    /// build each: no kit package turns the feature on for another (`tests/architecture` sees to it), and whether each
    /// compiles alone is what `cargo xtask check` looks at. Packages that know no such feature were tested before.
    Kit,
    /// The commands that guides tell to verify a step with.
    Guides,
    /// The programs under `examples/`, and the shop that adopts the kit.
    Examples,
    /// Workflows on Temporal: a workspace of its own, whose SDK takes minutes to compile.
    Temporal,
}

impl Pass {
    /// In the order they run.
    pub(crate) const ALL: [Self; 8] = [
        Self::Workspace,
        Self::Simulation,
        Self::Interop,
        Self::Fuzz,
        Self::Kit,
        Self::Guides,
        Self::Examples,
        Self::Temporal,
    ];
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Workspace => "workspace",
            Self::Simulation => "simulation",
            Self::Fuzz => "fuzz",
            Self::Interop => "interop",
            Self::Guides => "guides",
            Self::Kit => "kit",
            Self::Examples => "examples",
            Self::Temporal => "temporal",
        })
    }
}

/// Runs these passes, or all but the one on Temporal, whose SDK takes too long to compile for every change. The last line
/// printed is `N passed, M failed`. `Ok(true)`: nothing failed, every pass ran at least as many tests as it must, and none was
/// ignored without a reason.
pub(crate) fn run(passes: &[Pass]) -> Result<bool, Problem> {
    let workspace = Workspace::load()?;
    let expected = ExpectedTests::load()?;
    postgres::provide()?;
    rabbitmq::provide()?;
    let mut total = Tally::default();
    let mut complaints = Vec::new();
    let mut hints = Vec::new();
    let is_wanted = |pass: &Pass| match passes {
        [] => *pass != Pass::Temporal,
        named => named.contains(pass),
    };
    let mut beside = Beside::default();
    if is_wanted(&Pass::Workspace) && is_wanted(&Pass::Temporal) {
        beside.temporal = BuildAhead::begin(&workspace);
    }
    for pass in Pass::ALL.into_iter().filter(is_wanted) {
        let started = Instant::now();
        if pass == Pass::Interop && is_wanted(&Pass::Fuzz) {
            // They wait for servers, and let the fuzz targets compute.
            beside.fuzz = Some(thread::spawn(|| fuzz::run(fuzz::IN_TESTS, |_| {})));
        }
        // What keeps one pass from running keeps no other from it, and nothing from being told in the end.
        let ran = run_pass(pass, &workspace, &mut beside);
        let (tally, elsewhere) = ran.unwrap_or_else(|problem| {
            let tally = Tally::failure(format!("the pass `{pass}` could not be run: {problem}"));
            (tally, Tally::default())
        });
        println!(
            "   pass `{pass}`: {} tests passed ({:.1} s)",
            tally.passed,
            started.elapsed().as_secs_f64()
        );
        match expected.judge(pass, tally.passed) {
            Ok(hint) => hints.extend(hint),
            Err(complaint) => complaints.push(complaint),
        }
        total = total.and(tally).and(elsewhere);
    }
    for name in &total.ignored_without_reason {
        complaints.push(format!("{name} is ignored without a reason: `#[ignore = \"…\"]`"));
    }
    println!();
    for line in &total.said {
        println!("{line}");
    }
    for name in &total.failed_tests {
        println!("failed: {name}");
    }
    for hint in hints {
        println!("hint: {hint}");
    }
    if passes.is_empty() {
        println!("not run here: what needs Temporal, `cargo xtask test --pass temporal`");
    }
    for complaint in &complaints {
        println!("error: {complaint}");
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(total.failed == 0 && complaints.is_empty())
}

/// What was begun while other passes run.
#[derive(Default)]
struct Beside {
    temporal: Option<BuildAhead>,
    fuzz: Option<thread::JoinHandle<Result<Tally, Problem>>>,
}

/// What came of its tests; and of those that are counted apart, because they do not run everywhere.
fn run_pass(pass: Pass, workspace: &Workspace, beside: &mut Beside) -> Result<(Tally, Tally), Problem> {
    let tally = match pass {
        Pass::Workspace => return everything(workspace),
        // The pass before has run the first few seeds, unoptimised; so many need a build of their own.
        Pass::Simulation => Step::cargo(
            "10 000 seeds",
            ["test", "--package", SIMULATION, "--profile", "simulation"],
        )
        .env("AFTERCOMMIT_SIM_SEEDS", "10000")
        .run_tests()?,
        Pass::Fuzz => match beside.fuzz.take() {
            Some(begun) => begun.join().map_err(|_| "the fuzz targets broke off")??,
            None => fuzz::run(fuzz::IN_TESTS, |_| {})?,
        },
        Pass::Interop => interop::run(workspace)?,
        Pass::Guides => guides::run(workspace)?,
        Pass::Kit => {
            let selection = selection(&workspace.changed_by_reference());
            let runs: Vec<Run> = TestProgram::build(&selection)?.into_iter().map(Run::from).collect();
            sum(Run::all(&runs)?).and(documentation(&selection)?)
        }
        Pass::Examples => {
            // Built together with the tests of the pass before, which has just compiled all it needs.
            let selection = selection(&workspace.changed_by_reference());
            let build = ["build", "--bins", "--tests", "--example", adopt::SERVER]
                .iter()
                .chain(&selection)
                .copied();
            let mut tally = Tally::default();
            if !Step::cargo("the examples", build).run()? {
                tally.failed += 1;
                return Ok((tally, Tally::default()));
            }
            for example in workspace.examples()? {
                tally = tally.and(example::run(&example)?);
            }
            tally.and(adopt::run(workspace)?)
        }
        Pass::Temporal => temporal::run(workspace, beside.temporal.take())?,
    };
    Ok((tally, Tally::default()))
}

/// All packages with all features; and apart from them the suites on the newest PostgreSQL, which wait for the same time.
fn everything(workspace: &Workspace) -> Result<(Tally, Tally), Problem> {
    heading("all packages, all features");
    let programs = TestProgram::build(&ALL)?;
    let newest = newest_postgres::runs(&programs);
    let mut runs: Vec<Run> = programs.into_iter().map(Run::from).collect();
    s3::name_to(&mut runs, &s3::provide(workspace)?);
    let here = runs.len();
    runs.extend(newest);
    let mut tallies = Run::all(&runs)?;
    let newest = tallies.split_off(here);
    let tally = sum(tallies).and(documentation(&ALL)?);
    let newest = if newest.is_empty() {
        Tally::default()
    } else {
        newest_postgres::judge(newest)
    };
    Ok((tally, newest))
}

fn sum(tallies: Vec<Tally>) -> Tally {
    tallies.into_iter().fold(Tally::default(), Tally::and)
}

fn selection<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    packages.iter().flat_map(|package| ["--package", package]).collect()
}

/// The examples in the documentation of these packages.
fn documentation(selection: &[&str]) -> Result<Tally, Problem> {
    let arguments = ["test", "--doc", "--no-fail-fast"].iter().chain(selection).copied();
    Step::cargo("examples in the documentation", arguments).run_tests()
}
