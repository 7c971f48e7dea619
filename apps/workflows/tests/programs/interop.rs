//! A workflow in Python (`examples/interop/temporal`) that commits in Rust start and tell.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use aftercommit_testkit::postgres_server::PostgresServer;
use aftercommit_testkit::temporal_server::TemporalServer;
use serde_json::{Value, json};

use super::{Installation, PATIENCE, Program, example};

/// Names the folder that holds the program in Python with what its README installs; `cargo xtask test --pass temporal` does.
const FOLDER: &str = "AFTERCOMMIT_TEST_TEMPORAL_PYTHON";

/// The worker in Python, and the lines that it prints.
fn python(temporal: &TemporalServer) -> (Program, Receiver<String>) {
    #[expect(clippy::disallowed_methods, reason = "a test's one variable")]
    let folder = std::env::var_os(FOLDER);
    let folder = folder.unwrap_or_else(|| {
        panic!("{FOLDER} names no folder: `cargo xtask test --pass temporal` installs what examples/interop/README.md tells, and sets it")
    });
    let mut child = Command::new("temporal/.venv/bin/python")
        .arg("temporal/collect_payment.py")
        .current_dir(folder)
        .env("TEMPORAL_ADDRESS", temporal.address())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (tell, lines) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            // Nobody listens at the end.
            let _gone = tell.send(line).is_err();
        }
    });
    (Program(child), lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_in_python_is_started_and_told_by_commits_in_rust_and_knows_whose_it_is() {
    let temporal = TemporalServer::shared().await;
    let database = PostgresServer::shared().await.database(None).await;
    let programs = Installation::new(database.url(), &temporal);
    let command = programs.command(&example("invoices"), "workers");
    let _rust = programs.announced(command, "workers").await;
    let (_python, printed) = python(&temporal);
    let run_file = std::fs::read(programs.data("workers").join("run.json")).unwrap();
    let run_file: Value = serde_json::from_slice(&run_file).unwrap();
    let url = run_file["url"].as_str().unwrap().to_owned();
    let commit = async |path: &str, amount: i64| {
        let request = reqwest::Client::new().post(format!("{url}{path}"));
        let answer = request.json(&json!({ "amount": amount })).send().await.unwrap();
        assert_eq!(answer.status(), 202);
    };

    commit("/invoices/9", 30).await;
    let sent = tokio::task::spawn_blocking(move || printed.recv_timeout(PATIENCE)).await;
    let sent: Value = serde_json::from_str(&sent.unwrap().unwrap()).unwrap();
    let input = json!({ "organization_id": "7", "project_id": "8", "invoice_id": 9, "amount": 30 });
    assert_eq!(
        sent["sent"], input,
        "the input as it was committed, and nothing around it"
    );

    commit("/invoices/9/paid", 10).await;
    commit("/invoices/9/paid", 20).await;
    let id = "7/8/collect-payment/9";
    let arguments = ["workflow", "result", "--workflow-id", id, "--output", "json"];
    let ended: Value = serde_json::from_str(&temporal.cli(&arguments).await).unwrap();
    assert_eq!(
        ended["result"],
        json!({ "organization_id": "7", "invoice_id": 9, "received": 30, "belongs_to": ["7", "8"] }),
        "{ended}"
    );
    let described = programs.json(&["workflows", "describe", id, "--json"]);
    assert_eq!(described["status"], "completed", "{described}");
}
