//! A PostgreSQL server that cannot be used: the exit status says whether it may pass by itself.

#![expect(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

use std::process::{Command, Output, Stdio};

use aftercommit_testkit::postgres_server::PostgresServer;

fn run(url: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let place = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_aftercommit"))
        .args(arguments)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"))
        .current_dir(place.path())
        .env("AFTERCOMMIT_DATA_DIR", place.path().join("data"))
        .env("HTTP_ADDR", "127.0.0.1:0")
        .env("DATABASE_URL", url)
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

const NO_MIGRATIONS: (&str, &str) = ("AFTERCOMMIT_POSTGRES__MIGRATE_ON_START", "false");

#[tokio::test]
async fn tables_of_another_version_and_a_wrong_login_end_with_78() {
    let server = PostgresServer::shared().await;
    let database = server.database(None).await;
    let output = run(&database.url(), &["run"], &[NO_MIGRATIONS]);
    assert_eq!(output.status.code(), Some(78), "{}", told(&output));
    assert!(told(&output).contains("run `aftercommit migrate`"), "{}", told(&output));
    let wrong = database.urls().as_role("aftercommit_test_unknown", "wrong");
    for arguments in [&["run"][..], &["migrate", "status"]] {
        let output = run(&wrong, arguments, &[]);
        assert_eq!(output.status.code(), Some(78), "{}", told(&output));
        assert!(told(&output).contains("refuses the login"), "{}", told(&output));
        assert!(!told(&output).contains("wrong"), "a password: {}", told(&output));
    }
}

#[tokio::test]
async fn a_server_that_is_away_ends_with_1() {
    // Nobody listens on port 1.
    let output = run("postgres://nobody@127.0.0.1:1/nothing", &["run"], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(
        told(&output).contains("cannot connect to PostgreSQL at 127.0.0.1:1"),
        "{}",
        told(&output)
    );
}

#[tokio::test]
async fn a_role_that_row_level_security_does_not_hold_is_warned_of() {
    let server = PostgresServer::shared().await;
    let database = server.database(None).await;
    for (url, is_warned) in [(database.superuser_url(), true), (database.url(), false)] {
        let output = run(&url, &["migrate", "status"], &[]);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        assert_eq!(
            told(&output).contains("is a superuser: row-level security"),
            is_warned,
            "{}",
            told(&output)
        );
    }
}
