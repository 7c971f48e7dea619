//! The throw-away server itself, against real PostgreSQL.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aftercommit_testkit::postgres_server::{PostgresOptions, PostgresServer};
use futures::FutureExt;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn text(connection: &mut PgConnection, sql: &str) -> String {
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(connection)
        .await
        .unwrap()
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let server = PostgresServer::shared().await;
    let (one, two) = (server.database(None).await, server.database(None).await);
    execute(&mut connect(&one.url()).await, "CREATE TABLE a (id int)").await;
    let there = "SELECT (to_regclass('a') IS NOT NULL)::text";
    assert_eq!(text(&mut connect(&one.url()).await, there).await, "true");
    assert_eq!(text(&mut connect(&two.url()).await, there).await, "false");
}

#[tokio::test]
async fn the_owner_is_an_ordinary_role_that_row_level_security_holds() {
    let database = PostgresServer::shared().await.database(None).await;
    let mut owner = connect(&database.url()).await;
    let may = "SELECT concat_ws(' ', rolsuper, rolbypassrls, rolcreatedb, rolcreaterole) FROM pg_roles
        WHERE rolname = current_user";
    assert_eq!(text(&mut owner, may).await, "f f f f");
    execute(
        &mut owner,
        "CREATE TABLE secrets (id int); INSERT INTO secrets VALUES (1);
         ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; ALTER TABLE secrets FORCE ROW LEVEL SECURITY",
    )
    .await;
    let count = "SELECT count(*)::text FROM secrets";
    assert_eq!(text(&mut owner, count).await, "0");
    assert_eq!(text(&mut connect(&database.superuser_url()).await, count).await, "1");
}

#[tokio::test]
async fn a_template_is_made_once_for_tests_that_ask_at_the_same_time() {
    let server = PostgresServer::start(PostgresOptions::default().without_fsync()).await;
    let made = AtomicUsize::new(0);
    let ask = async || {
        server
            .template("with-a-table", async |urls| {
                made.fetch_add(1, Ordering::SeqCst);
                // Left connected on purpose: a pool that a migration forgot must not keep the template from use.
                let mut connection = connect(&urls.url()).await;
                execute(
                    &mut connection,
                    "CREATE TABLE copied (id int); INSERT INTO copied VALUES (7)",
                )
                .await;
                std::mem::forget(connection);
            })
            .await;
        let database = server.database(Some("with-a-table")).await;
        text(&mut connect(&database.url()).await, "SELECT id::text FROM copied").await
    };
    let found = tokio::join!(ask(), ask(), ask());
    assert_eq!(found, ("7".to_owned(), "7".to_owned(), "7".to_owned()));
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_template_that_failed_is_made_by_the_next_who_asks() {
    let server = PostgresServer::shared().await;
    let failing = server.template("fails-once", async |_urls| panic!("on purpose"));
    assert!(AssertUnwindSafe(failing).catch_unwind().await.is_err());
    server.template("fails-once", async |_urls| {}).await;
    server.database(Some("fails-once")).await;
}

#[tokio::test]
async fn a_closed_database_is_gone_with_its_connections() {
    let server = PostgresServer::shared().await;
    let database = server.database(None).await;
    let name = database.name().to_owned();
    let mut connected = connect(&database.url()).await;
    database.close().await;
    assert!(sqlx::raw_sql("SELECT 1").execute(&mut connected).await.is_err());
    let mut superuser = connect(&server.superuser_url()).await;
    let left = format!("SELECT count(*)::text FROM pg_database WHERE datname = '{name}'");
    assert_eq!(text(&mut superuser, &left).await, "0");
}

#[tokio::test]
async fn a_dropped_database_is_gone_soon() {
    let server = PostgresServer::shared().await;
    let database = server.database(None).await;
    let left = format!(
        "SELECT count(*)::text FROM pg_database WHERE datname = '{}'",
        database.name()
    );
    drop(database);
    let mut superuser = connect(&server.superuser_url()).await;
    let dropped = Instant::now();
    while text(&mut superuser, &left).await != "0" {
        assert!(dropped.elapsed() < Duration::from_secs(30), "it is still there");
    }
}

#[tokio::test]
#[should_panic(expected = "start one with `PostgresServer::start`")]
async fn the_shared_server_cannot_be_killed() {
    PostgresServer::shared().await.kill9().await;
}

#[tokio::test]
#[should_panic(expected = "there is no template `forgotten` yet")]
async fn a_template_nobody_made_is_named() {
    PostgresServer::shared().await.database(Some("forgotten")).await;
}

#[tokio::test]
async fn settings_and_files_reach_a_server_of_ones_own() {
    let options = PostgresOptions::default()
        .setting("work_mem", "3MB")
        .setting("include_if_exists", "more.conf")
        .file("more.conf", "maintenance_work_mem = '5MB'\n");
    let server = PostgresServer::start(options).await;
    let mut superuser = connect(&server.superuser_url()).await;
    let settings = "SELECT concat_ws(' ', current_setting('work_mem'), current_setting('maintenance_work_mem'),
        current_setting('fsync'), current_setting('synchronous_commit'))";
    assert_eq!(text(&mut superuser, settings).await, "3MB 5MB on on");
}

#[tokio::test]
async fn what_was_committed_survives_a_kill_and_the_address_stays() {
    let server = PostgresServer::start(PostgresOptions::default()).await;
    let database = server.database(None).await;
    execute(
        &mut connect(&database.url()).await,
        "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)",
    )
    .await;
    let address = server.address();
    for kill_all in [false, true] {
        let mut open = connect(&database.url()).await;
        if kill_all {
            server.kill9_all().await;
        } else {
            server.kill9().await;
        }
        assert_eq!(server.process_id(), None);
        server.restart().await;
        assert!(sqlx::raw_sql("SELECT 1").execute(&mut open).await.is_err());
        let mut again = connect(&database.url()).await;
        assert_eq!(text(&mut again, "SELECT count(*)::text FROM kept").await, "1");
    }
    assert_eq!(server.address(), address);
}

#[tokio::test]
async fn a_paused_server_answers_nothing_until_it_is_resumed() {
    let server = PostgresServer::start(PostgresOptions::default()).await;
    let mut connection = connect(&server.superuser_url()).await;
    server.pause().await;
    let mut question = std::pin::pin!(text(&mut connection, "SELECT 'answered'"));
    // The backend is stopped already, so waiting longer would show no more.
    assert!(
        tokio::time::timeout(Duration::from_millis(200), &mut question)
            .await
            .is_err()
    );
    server.resume().await;
    assert_eq!(question.await, "answered");
}

#[tokio::test]
async fn a_stopped_server_says_so_to_its_sessions_and_starts_again() {
    let server = PostgresServer::start(PostgresOptions::default()).await;
    let mut connection = connect(&server.superuser_url()).await;
    server.stop().await;
    assert!(sqlx::raw_sql("SELECT 1").execute(&mut connection).await.is_err());
    assert!(server.log().contains("received fast shutdown request"));
    server.restart().await;
    connect(&server.superuser_url()).await;
}

#[tokio::test]
async fn a_dropped_server_leaves_neither_process_nor_directory() {
    for paused in [false, true] {
        let server = PostgresServer::start(PostgresOptions::default()).await;
        let (directory, pid) = (server.directory().unwrap(), server.process_id().unwrap());
        assert!(directory.join("data/PG_VERSION").exists() && runs(pid));
        if paused {
            server.pause().await;
        }
        drop(server);
        assert!(!directory.exists() && !runs(pid));
    }
}

/// The parent kills the process this runs in, so it has no end of its own.
#[tokio::test]
#[ignore = "run by the test of what a killed test process leaves"]
async fn waits_to_be_killed() {
    let server = PostgresServer::start(PostgresOptions::default()).await;
    let shared = PostgresServer::shared().await;
    for server in [&server, &shared] {
        // Of the server that the environment may name, nothing is to be cleared up.
        if let (Some(pid), Some(directory)) = (server.process_id(), server.directory()) {
            println!("\n{STARTED}{pid} {}", directory.display());
        }
    }
    // One that cannot act on a signal is the harder one to clear up.
    server.pause().await;
    println!("\n{READY}");
    std::future::pending::<()>().await;
}

const STARTED: &str = "started: ";
const READY: &str = "ready";

#[test]
fn a_killed_test_process_leaves_neither_servers_nor_directories() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "waits_to_be_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut started = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((pid, directory)) = line.strip_prefix(STARTED).and_then(|server| server.split_once(' ')) {
            started.push((pid.parse().unwrap(), PathBuf::from(directory)));
        } else if line == READY {
            break;
        }
    }
    assert!(!started.is_empty());
    assert!(started.iter().all(|(pid, directory)| runs(*pid) && directory.exists()));
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    while started.iter().any(|(pid, directory)| runs(*pid) || directory.exists()) {
        assert!(
            killed.elapsed() < Duration::from_secs(30),
            "{started:?} are still there"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn the_server_of_the_environment_is_used_and_left_clean() {
    let server = PostgresServer::start(PostgresOptions::default().without_fsync()).await;
    let mut superuser = connect(&server.superuser_url()).await;
    let databases = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database";
    let before = text(&mut superuser, databases).await;
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_owner_is_an_ordinary_role_that_row_level_security_holds"])
        .args(["says_where_its_server_is", "--include-ignored", "--nocapture"])
        .env("AFTERCOMMIT_TEST_DATABASE_URL", server.superuser_url())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && output.contains("2 passed"), "{output}");
    assert!(output.contains(&format!("{ADDRESS}{}", server.address())), "{output}");
    assert_eq!(text(&mut superuser, databases).await, before);
}

#[tokio::test]
#[ignore = "run by the test of the server that the environment names"]
async fn says_where_its_server_is() {
    println!("\n{ADDRESS}{}", PostgresServer::shared().await.address());
}

const ADDRESS: &str = "address: ";

/// A process that has ended and that nobody has asked about yet does not run either.
fn runs(pid: u32) -> bool {
    let Ok(output) = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
    else {
        panic!("there is no `ps`");
    };
    let state = String::from_utf8_lossy(&output.stdout);
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}
