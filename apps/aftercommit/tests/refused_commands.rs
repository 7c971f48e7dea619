//! What the command line refuses: the status, the whole of what it says, that it opened nothing, and that nothing it
//! repeats steers the terminal.

#![expect(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

use std::io::Write as _;
use std::process::{Command, Stdio};

const ID: &str = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";

/// What it says to these arguments, this standard input and these variables; the first line is the case and the status.
fn refusal(id: &str, arguments: &[&str], input: &str, variables: &[(&str, &str)]) -> String {
    let place = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_aftercommit"))
        .args(arguments)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"))
        .env("AFTERCOMMIT_DATA_DIR", place.path().join("data"))
        .envs(variables.iter().copied())
        .current_dir(place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have seen enough before everything is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
    assert_eq!(output.stdout, b"", "{arguments:?}");
    assert!(!place.path().join("data").exists(), "{arguments:?} opened something");
    let status = output.status.code().unwrap();
    let lines: String = said.lines().flat_map(|line| ["  ", line, "\n"]).collect();
    let typed: Vec<String> = arguments
        .iter()
        .map(|argument| argument.escape_debug().take(60).collect())
        .collect();
    format!("{id} {} → {status}\n{}", typed.join(" "), lines.replace("  \n", "\n"))
}

#[test]
fn wrong_usage_is_refused_with_status_2_and_the_usage() {
    let long = "x".repeat(10_000);
    let table: String = [
        ("B52", vec!["frobnicate"]),
        ("B52", vec!["tasks"]),
        ("B52", vec!["tasks", "list", "--nope"]),
        ("B52", vec!["tasks", "list", "--limit", "0"]),
        ("B52", vec!["tasks", "list", "--limit", "1000000000"]),
        ("B52", vec!["tasks", "list", "--limit=-1"]),
        ("B52", vec!["tasks", "list", "--state", "lost"]),
        ("B52", vec!["dead-letters", "discard"]),
        ("B52", vec!["dead-letters", "discard", ID]),
        ("B52", vec!["dead-letters", "replay", ID]),
        ("B18", vec!["tasks", "show", "7"]),
        ("B18", vec!["events", "show", "0192F0C1-7A3B-7C4D-8E5F-0123456789AB"]),
        (
            "B18",
            vec!["dead-letters", "show", "00000000-0000-0000-0000-000000000000"],
        ),
        ("B21", vec!["tasks", "list", "--topic", "a*b #"]),
        ("B21", vec!["events", "list", "--name", "invoice paid"]),
        ("B16", vec!["tasks", "list", "--organization", ""]),
        (
            "B26",
            vec!["tasks", "publish", "records", "purge", "--payload", "{}", "--delay=-1s"],
        ),
        (
            "B26",
            vec![
                "tasks",
                "publish",
                "records",
                "purge",
                "--payload",
                "{}",
                "--delay",
                "1.5h",
            ],
        ),
        (
            "B26",
            vec![
                "tasks",
                "publish",
                "records",
                "purge",
                "--payload",
                "{}",
                "--delay",
                "1e9h",
            ],
        ),
        (
            "B26",
            vec![
                "tasks",
                "publish",
                "records",
                "purge",
                "--payload",
                "{}",
                "--delay",
                "99999999999999999999d",
            ],
        ),
        ("B26", vec!["events", "list", "--since", "infinity"]),
        (
            "B22",
            vec!["tasks", "show", "\u{1b}[2J\u{1b}]0;title\u{7}\r\nforged: line\u{202e}"],
        ),
        ("B22", vec!["\u{9b}31m"]),
    ]
    .into_iter()
    .map(|(id, arguments)| {
        let refusal = refusal(id, &arguments, "", &[]);
        assert!(refusal.contains("→ 2\n"), "{refusal}");
        refusal
    })
    .collect();
    insta::assert_snapshot!(table);
    // It repeats what was typed, as much as that was.
    let refusal = refusal("B52", &["tasks", "show", &long], "", &[]);
    assert!(
        refusal.contains("→ 2\n") && refusal.len() < 11_000,
        "{} bytes",
        refusal.len()
    );
}

#[test]
fn a_payload_that_is_none_is_refused_with_status_2_and_not_repeated() {
    let publish = ["tasks", "publish", "records", "purge", "--payload", "-"];
    let deep = "[".repeat(100_000);
    let large = format!("\"{}\"", "x".repeat(5 << 20));
    let table: String = [
        ("B01", ""),
        ("B02", "canary"),
        ("B02", "{\"password\": canary}"),
        ("B02", "{} canary"),
        ("B02", "\u{feff}{}"),
        ("B13", "{\"canary\": NaN}"),
        ("B06", &large),
        ("B07", &deep),
    ]
    .into_iter()
    .map(|(id, input)| {
        let refusal = refusal(id, &publish, input, &[]);
        assert!(refusal.contains("→ 2\n") && !refusal.contains("canary"), "{refusal}");
        refusal
    })
    .collect();
    insta::assert_snapshot!(table);
}

#[test]
fn a_wrong_configuration_is_refused_with_status_78_one_line_for_each_problem_and_no_value() {
    let table: String = [
        ("B33", "DATABASE_URL", "postgres:/canary"),
        ("B33", "DATABASE_URL", "postgres://me:can@ary@db.example/app"),
        ("B33", "DATABASE_URL", "postgres://db.example:99999/canary"),
        ("B33", "DATABASE_URL", "canary://db.example/app"),
        ("B33", "DATABASE_URL", "sqlite://canary.db\n"),
        ("B34", "AFTERCOMMIT_OUTBX__BATCH_SIZE", "canary"),
        ("B34", "AFTERCOMMIT_RELAY__LEASE\u{1b}[2J", "canary"),
        ("B35", "AFTERCOMMIT_RELAY__LEASE", "5"),
        ("B35", "AFTERCOMMIT_RELAY__LEASE", "5 canaries"),
        ("B35", "AFTERCOMMIT_RELAY__LEASE", "-1s"),
        ("B35", "AFTERCOMMIT_RELAY__LEASE", "1e9h"),
        ("B36", "AFTERCOMMIT_SEALING__KEYS_FILE", "/does/not/exist"),
        ("B51", "DATABASE_URL", "sqlite::memory:"),
        ("B51", "DATABASE_URL", "sqlite://../canary.db"),
        ("B51", "DATABASE_URL", "sqlite:///srv/canary/"),
    ]
    .into_iter()
    .map(|(id, variable, value)| {
        let shown = format!(
            "{} {}\n",
            variable.escape_debug(),
            value.replace("canary", "…").escape_debug()
        );
        let refusal = refusal(id, &["config", "check"], "", &[(variable, value)]);
        assert!(refusal.contains("→ 78\n") && !refusal.contains("canar"), "{refusal}");
        assert_eq!(refusal.lines().count(), 2, "{refusal}");
        refusal.replacen("config check", shown.trim_end(), 1)
    })
    .collect();
    insta::assert_snapshot!(table);
}
