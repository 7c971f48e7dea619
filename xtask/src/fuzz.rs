//! The fuzz targets, each for a while, a few at a time. They are found by their name: every test `fuzz_…` is one.

use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::step::{Problem, heading};
use crate::tally::Tally;
use crate::test_program::{ALL, TestProgram};

/// What a pass of the tests gives each target.
pub(crate) const IN_TESTS: Duration = Duration::from_mins(1);
/// What a soak gives each target.
pub(crate) const IN_SOAK: Duration = Duration::from_hours(1);
/// How many run at the same time: all of them, as long as there are no more. On the smallest machine each has an eighth of a core
/// of its minute; a soak gives each an hour.
const AT_ONCE: usize = 16;

/// One fuzz target.
struct Target {
    tests: usize,
    /// As the program lists it: `queue::message::fuzz::fuzz_messages`.
    path: String,
}

/// Runs all of them. `hear` is told each line they print.
pub(crate) fn run(each: Duration, mut hear: impl FnMut(&str)) -> Result<Tally, Problem> {
    heading(&format!("fuzz targets, {} s each", each.as_secs()));
    // What the pass `workspace` has built.
    let tests = TestProgram::build(&ALL)?;
    let mut targets = Vec::new();
    for (at, program) in tests.iter().enumerate() {
        let paths = listed(program)?;
        targets.extend(paths.into_iter().map(|path| Target { tests: at, path }));
    }
    if targets.is_empty() {
        return Err("no fuzz target was found".into());
    }
    targets.reverse();
    let waiting = Mutex::new(targets);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(target) = waiting.lock().ok().and_then(|mut waiting| waiting.pop()) else {
                        return;
                    };
                    let outcome = attempt(&tests[target.tests], &target.path, each);
                    if let Ok(mut done) = done.lock() {
                        done.push((target.path, outcome));
                    }
                }
            });
        }
    });
    let mut tally = Tally::default();
    for (path, outcome) in done.into_inner().map_err(|_| "a fuzz target broke the others")? {
        let output = outcome?;
        let before = tally.failed + tally.passed;
        for line in output.lines() {
            tally.read(line);
            hear(line);
        }
        let is_told = tally.failed + tally.passed > before;
        if !is_told {
            tally.failed += 1;
        }
        match output.lines().find(|line| line.ends_with("nothing found")) {
            Some(line) if is_told => println!("   {line}"),
            Some(_) | None => println!("   FAILED: {path}\n{output}"),
        }
    }
    Ok(tally)
}

fn listed(tests: &TestProgram) -> Result<Vec<String>, Problem> {
    let output = tests.command().args(["--list", "--format", "terse"]).output()?;
    let listed = String::from_utf8_lossy(&output.stdout);
    Ok(listed.lines().filter_map(target).collect())
}

/// The path of a fuzz target in a line of a list.
fn target(line: &str) -> Option<String> {
    let path = line.strip_suffix(": test")?;
    let name = path.rsplit("::").next()?;
    name.starts_with("fuzz_").then(|| path.to_owned())
}

/// Runs one, and answers all it printed.
fn attempt(tests: &TestProgram, path: &str, each: Duration) -> Result<String, Problem> {
    let started = Instant::now();
    let output = tests
        .command()
        .args(["--exact", path, "--nocapture"])
        .env("AFTERCOMMIT_FUZZ_SECONDS", each.as_secs().to_string())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{path}: {error}"))?;
    let said = [output.stdout, output.stderr].concat();
    Ok(format!(
        "{}\n{path}: {} after {:.1} s",
        String::from_utf8_lossy(&said),
        output.status,
        started.elapsed().as_secs_f64()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fuzz_target_is_told_by_its_name() {
        assert_eq!(target("fuzz_json: test").as_deref(), Some("fuzz_json"));
        assert_eq!(
            target("queue::message::fuzz::fuzz_messages: test").as_deref(),
            Some("queue::message::fuzz::fuzz_messages")
        );
        for other in [
            "fuzz::tests::a: test",
            "fuzz_json: benchmark",
            "",
            "12 tests, 0 benchmarks",
        ] {
            assert_eq!(target(other), None, "{other}");
        }
    }
}
