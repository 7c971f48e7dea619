//! Runs a program of `examples/` as a user would, and reads what it prints.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::kit::Example;
use crate::step::{Problem, heading};
use crate::tally::Tally;

/// How long a program may take to print what it must, and again to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the binary in an empty directory. Counts as one test.
pub(crate) fn run(example: &Example) -> Result<Tally, Problem> {
    heading(&format!("{} as a program", example.package));
    let problem = run_binary(example)?;
    let mut tally = Tally::default();
    match problem {
        None => {
            println!("test examples::{} ... ok", example.package);
            tally.passed += 1;
        }
        Some(problem) => {
            println!("test examples::{} ... FAILED: {problem}", example.package);
            tally.failed += 1;
        }
    }
    Ok(tally)
}

/// What is wrong with the run, if anything.
fn run_binary(example: &Example) -> Result<Option<String>, Problem> {
    let directory = tempfile::tempdir()?;
    let mut child = Command::new(&example.binary)
        .current_dir(directory.path())
        // Port 0: the system picks one, so that a busy machine does not fail the test.
        .env("HTTP_ADDR", "127.0.0.1:0")
        // A database of the tests is none of the example's.
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let lines = lines_of(&mut child);
    let missing = wait_for(&example.prints, &lines);
    // A program that goes on until it is told to stop is as welcome as one that ends by itself.
    let status = end(&mut child)?;
    for line in lines.try_iter() {
        println!("   {line}");
    }
    Ok(if let Some(missing) = missing {
        Some(format!("it did not print {missing:?}"))
    } else {
        (!status.success()).then(|| format!("it ended with {status}"))
    })
}

/// Both of its outputs, line by line.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|output| Box::new(output) as _),
        child.stderr.take().map(|output| Box::new(output) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    lines
}

/// The first of `prints` that no line had in time. Shows the lines.
fn wait_for(prints: &[String], lines: &Receiver<String>) -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut missing: Vec<&String> = prints.iter().collect();
    while !missing.is_empty() {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                println!("   {line}");
                missing.retain(|expected| !line.contains(expected.as_str()));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    missing.first().map(|expected| (*expected).clone())
}

/// Waits for its end; asks for it after a second, and insists after [`PATIENCE`].
fn end(child: &mut Child) -> Result<ExitStatus, Problem> {
    let started = Instant::now();
    let mut asked = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if !asked && started.elapsed() >= Duration::from_secs(1) {
            terminate(child.id())?;
            asked = true;
        }
        if started.elapsed() >= PATIENCE {
            child.kill()?;
            return Ok(child.wait()?);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// SIGTERM. The shell's own `kill`, because a small system has no other.
fn terminate(process: u32) -> Result<(), Problem> {
    Command::new("sh")
        .args(["-c", &format!("kill -TERM {process} 2>/dev/null || true")])
        .status()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Runs a shell script as if it were an example that must print `hello`.
    fn problem_of(script: &str) -> Option<String> {
        let directory = tempfile::tempdir().expect("a directory");
        let binary = directory.path().join("example");
        fs::write(&binary, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("an executable script");
        let example = Example {
            package: "example".to_owned(),
            binary,
            prints: vec!["hello".to_owned()],
        };
        run_binary(&example).expect("the script starts")
    }

    #[test]
    fn an_example_that_prints_what_it_must_and_ends_is_fine() {
        assert_eq!(problem_of("echo oh, hello you"), None);
    }

    #[test]
    fn an_example_that_runs_until_it_is_told_to_stop_is_fine() {
        assert_eq!(
            problem_of("trap 'exit 0' TERM; echo hello >&2; while :; do sleep 0.05; done"),
            None
        );
    }

    #[test]
    fn an_example_that_prints_something_else_fails() {
        assert_eq!(
            problem_of("echo goodbye").as_deref(),
            Some("it did not print \"hello\"")
        );
    }

    #[test]
    fn an_example_that_prints_what_it_must_but_ends_badly_fails() {
        assert!(problem_of("echo hello; exit 3").is_some());
    }
}
