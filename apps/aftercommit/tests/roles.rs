//! Everything in one process, unless the configuration says less.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

#[test]
fn the_process_does_what_the_configuration_says_and_its_first_screen_says_so() {
    let place = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_aftercommit"))
        .arg("run")
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"))
        .current_dir(place.path())
        .env("AFTERCOMMIT_DATA_DIR", place.path().join("data"))
        .env("HTTP_ADDR", "127.0.0.1:0")
        .env("AFTERCOMMIT_WORKER__ROLES", "relay,topics")
        .env("AFTERCOMMIT_WORKER__TOPICS", "invitation-email")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let screen: Vec<String> = lines.take_while(|line| !line.contains("Stop with Ctrl-C")).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    for expected in ["  roles           relay, topics", "  topics          invitation-email"] {
        assert!(screen.iter().any(|line| line == expected), "{expected} in {screen:#?}");
    }
}
