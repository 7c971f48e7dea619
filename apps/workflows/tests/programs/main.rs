//! Programs apart on one PostgreSQL and one Temporal: workers, workflows, the command line, and a worker in Python.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

mod interop;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use aftercommit_testkit::postgres_server::PostgresServer;
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes, and than a request waits for an engine that was away.
const PATIENCE: Duration = Duration::from_mins(2);
const INPUT: &str = r#"{"organization_id": "7", "project_id": "8", "invoice_id": 9}"#;

/// What programs of one installation share.
struct Installation {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

/// A program that is killed at the end.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Installation {
    fn new(database: String, temporal: &TemporalServer) -> Self {
        let key = format!("k1:{}=", "A".repeat(43));
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables: vec![
                ("DATABASE_URL", database),
                ("TEMPORAL_ADDRESS", temporal.address().to_owned()),
                ("AFTERCOMMIT_SEALING__KEYS", key),
                ("HTTP_ADDR", "127.0.0.1:0".to_owned()),
            ],
        }
    }

    fn data(&self, role: &str) -> PathBuf {
        self.folder.path().join(role)
    }

    fn command(&self, program: &Path, role: &str) -> Command {
        let mut command = Command::new(program);
        command
            // Neither the environment nor a file of whoever runs the tests may play a part.
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("AFTERCOMMIT_DATA_DIR", self.data(role))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Starts the example in this role, and returns when it can be asked.
    async fn start(&self, role: &str) -> Program {
        let mut command = self.command(&example("payments"), role);
        command.arg(role);
        self.announced(command, role).await
    }

    async fn announced(&self, mut command: Command, role: &str) -> Program {
        let log = std::fs::File::create(self.folder.path().join(format!("{role}.log"))).unwrap();
        let command = command.stdout(log.try_clone().unwrap()).stderr(log);
        let program = Program(command.spawn().unwrap());
        let run_file = self.data(role).join("run.json");
        eventually("it is announced", || run_file.exists()).await;
        program
    }

    /// The command line, asking the workers.
    fn ask(&self, arguments: &[&str]) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_aftercommit"));
        self.command(program, "workers").args(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.ask(arguments);
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {problem}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Asks for a workflow under this key; answers the request.
    fn ask_for(&self, key: &str) -> String {
        let asked = self.json(&[
            "workflows",
            "start",
            "collect-payment",
            key,
            "--payload",
            INPUT,
            "--json",
        ]);
        assert_eq!(asked["id"], format!("7/8/collect-payment/{key}"));
        asked["request_id"].as_str().unwrap().to_owned()
    }

    async fn task_is(&self, id: &str, state: &str) -> Value {
        let shown = || self.json(&["tasks", "show", id, "--json"]);
        eventually(state, || {
            self.ask(&["tasks", "show", id]).status.success() && shown()["state"] == state
        })
        .await;
        shown()
    }

    /// Whether this workflow waits for its signal.
    async fn waits(&self, key: &str) {
        let id = format!("7/8/collect-payment/{key}");
        let waits = || {
            let output = self.ask(&["workflows", "describe", &id, "--json"]);
            let described: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            described["waiting"][0]["label"] == "signal paid" && described["waiting"][0]["since"].is_string()
        };
        eventually("it waits for its signal", waits).await;
    }
}

fn example(name: &str) -> PathBuf {
    let programs = Path::new(env!("CARGO_BIN_EXE_aftercommit")).parent().unwrap();
    programs.join("examples").join(name)
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let asked = Instant::now();
    while !is_so() {
        assert!(asked.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_while_temporal_is_away_and_is_carried_out_afterwards_and_other_topics_do_not_notice() {
    let temporal = TemporalServer::start(TemporalOptions::default().durable()).await;
    let database = PostgresServer::shared().await.database(None).await;
    let programs = Installation::new(database.url(), &temporal);
    let _workers = programs.start("workers").await;
    let _workflows = programs.start("workflows").await;

    let first = programs.ask_for("1");
    programs.task_is(&first, "completed").await;
    programs.waits("1").await;

    temporal.kill().await;
    let second = programs.ask_for("2");
    let away = || {
        let explained = programs.ask(&["tasks", "show", &second, "--explain"]);
        String::from_utf8_lossy(&explained.stdout).contains("The workflow engine is away")
    };
    eventually("it is told that Temporal is away", away).await;
    let published = programs.json(&["tasks", "publish", "receipts", "send", "--payload", INPUT, "--json"]);
    programs
        .task_is(published["task_id"].as_str().unwrap(), "completed")
        .await;
    let refused = programs.ask(&["workflows", "describe", "7/8/collect-payment/1"]);
    let problem = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(problem.contains("(workflow.unavailable)"), "{problem}");

    temporal.start_again().await;
    let carried_out = programs.task_is(&second, "completed").await;
    assert_eq!(carried_out["attempts"], 1, "an engine that is away costs no attempt");
    programs.waits("2").await;

    let id = "7/8/collect-payment/1";
    let told = programs.ask(&["workflows", "signal", id, "paid", "--payload", r#"{"amount": 12}"#]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let ended = || programs.json(&["workflows", "describe", id, "--json"])["status"] == "completed";
    eventually("it ends with what it was told", ended).await;
    let value = programs.json(&["workflows", "query", "7/8/collect-payment/2", "invoice", "--json"]);
    assert_eq!(value["value"], 9);
}

#[test]
fn the_workflows_program_says_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_aftercommit-workflows"))
        .env_clear()
        .env("AFTERCOMMIT_DATA_DIR", folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        problem.starts_with("aftercommit: TEMPORAL_ADDRESS: is not given"),
        "{problem}"
    );
}
