//! The workers as whoever starts them meets them: exit status, first screen, log, and the loops that run.

#![expect(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const ROLES: &str = "AFTERCOMMIT_WORKER__ROLES";
const TOPICS: &str = "AFTERCOMMIT_WORKER__TOPICS";

fn command(place: &TempDir, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aftercommit-workers"));
    command
        .args(arguments)
        // Neither the environment nor a file of whoever runs the tests may play a part.
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"))
        .current_dir(place.path())
        .env("AFTERCOMMIT_DATA_DIR", place.path().join("data"))
        .env("AFTERCOMMIT_LOG__FORMAT", "json")
        .env("HTTP_ADDR", "127.0.0.1:0")
        .envs(settings.iter().copied())
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let place = tempfile::tempdir().unwrap();
    command(&place, arguments, settings).output().unwrap()
}

/// What a process showed when it was started like this.
struct Shown {
    loops: Vec<String>,
    screen: String,
    started: Value,
}

/// Kills it when the test fails, too.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str], settings: &[(&str, &str)]) -> Shown {
    let place = tempfile::tempdir().unwrap();
    let mut child = command(&place, arguments, settings)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map(Killed)
        .unwrap();
    let mut log = BufReader::new(child.0.stderr.take().unwrap());
    let mut line = String::new();
    let started = loop {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended early");
        match serde_json::from_str::<Value>(&line) {
            Ok(entry) if entry["message"] == "started" => break entry,
            // Whoever reads a failed test wants to know why it ended.
            Ok(_) | Err(_) => eprint!("{line}"),
        }
    };
    let address = started["address"].as_str().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let health: Value = serde_json::from_str(body).unwrap();
    let loops = health["loops"].as_array().unwrap().iter();
    let loops = loops.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
    let mut out = child.0.stdout.take().unwrap();
    drop(child);
    let mut screen = String::new();
    out.read_to_string(&mut screen).unwrap();
    Shown { loops, screen, started }
}

#[test]
fn without_a_word_everything_runs_and_nothing_is_said_of_it() {
    let shown = start(&[], &[]);
    for name in ["relay", "rescuer", "topic domain-events", "topic invitation-email"] {
        assert!(shown.loops.iter().any(|one| one == name), "{name} in {:?}", shown.loops);
    }
    assert!(
        !shown.screen.contains("roles") && !shown.screen.contains("topics"),
        "{}",
        shown.screen
    );
    assert!(shown.started.get("roles").is_none(), "{}", shown.started);
}

#[test]
fn only_the_roles_and_topics_of_the_command_line_run_whatever_the_environment_says() {
    let settings = [(ROLES, "topics,maintenance"), (TOPICS, "invitation-email")];
    let relay = start(&["--roles", "relay"], &settings);
    assert_eq!(relay.loops, ["relay"]);
    assert!(relay.screen.contains("\n  roles           relay\n"), "{}", relay.screen);
    assert!(!relay.screen.contains("\n  topics "), "{}", relay.screen);
    assert_eq!(relay.started["roles"], "relay");

    let topics = start(&["--topics", "magic-link-email"], &settings);
    assert_eq!(topics.loops, ["orders", "rescuer", "topic magic-link-email"]);
    assert!(
        topics.screen.contains("\n  roles           topics, maintenance\n"),
        "{}",
        topics.screen
    );
    assert!(
        topics.screen.contains("\n  topics          magic-link-email\n"),
        "{}",
        topics.screen
    );
    assert_eq!(topics.started["topics"], "magic-link-email");
}

#[test]
fn what_the_environment_says_holds_otherwise() {
    let shown = start(&[], &[(ROLES, "topics"), (TOPICS, "invitation-email")]);
    assert_eq!(shown.loops, ["orders", "topic invitation-email"]);
}

#[test]
fn wrong_usage_ends_with_2_and_a_wrong_configuration_with_78() {
    for (arguments, settings, code, text) in [
        (
            &["--roles", "relya"][..],
            &[][..],
            2,
            "[possible values: all, relay, dispatcher, topics, scheduler, maintenance]",
        ),
        (&["--nope"], &[], 2, "Usage: aftercommit-workers"),
        (
            &["--topics", "receipts"],
            &[],
            78,
            "topic receipts is to be run here but is not declared",
        ),
        (
            &["--topics", "invitation-email"],
            &[(ROLES, "relay")],
            78,
            "AFTERCOMMIT_WORKER__TOPICS: ",
        ),
        (
            &[],
            &[(ROLES, "relya")],
            78,
            "AFTERCOMMIT_WORKER__ROLES: has something that is no role",
        ),
    ] {
        let output = run(arguments, settings);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {settings:?} {error}");
        assert!(error.contains(text), "{error}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
    }
    let help = run(&["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.contains("--roles <ROLE>") && help.contains("--topics <TOPIC>"),
        "{help}"
    );
}
