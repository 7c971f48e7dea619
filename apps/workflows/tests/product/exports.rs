//! Exports, over everything that happens to the processes and servers that make them.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use crate::account::Account;
use crate::installation::{Installation, eventually};

/// Some five parts of a file.
const RECORDS: usize = 500;
const BYTES: usize = 60_000;

/// How many files are below this folder.
fn files_below(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            if entry.path().is_dir() {
                files_below(&entry.path())
            } else {
                1
            }
        })
        .sum()
}

/// From now on whoever reads this record waits, until the connection is closed or its server killed.
async fn held_at_record(number: usize, product: &Installation) -> PgConnection {
    let mut connection = product.connection().await;
    let hold = format!(
        "CREATE FUNCTION reference.held() RETURNS boolean LANGUAGE plpgsql \
         AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN true; END'; \
         CREATE POLICY held ON reference.records AS RESTRICTIVE FOR SELECT \
         USING (key <> 'record-{number}' OR reference.held()); \
         SELECT pg_advisory_lock(1)"
    );
    connection.execute(AssertSqlSafe(hold)).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_in_the_middle_of_which_everything_was_killed_is_whole_and_told_of_once() {
    let mut product = Installation::start().await;
    let account = Account::sign_up(&product.url()).await;
    let mut keys = account.put_records(RECORDS, BYTES).await;
    let _held = held_at_record(300, &product).await;
    let export = account.ask_for_export().await;
    let workflow = format!("{}/{}/export/{export}", account.organization_id, account.project_id);

    // GIVEN a collection that has put two parts, and stands in the middle of the records.
    let parts = product.storage().join("parts");
    eventually("two parts are put", async || (files_below(&parts) == 2).then_some(())).await;
    let described = product
        .temporal
        .cli(&["workflow", "describe", "--workflow-id", &workflow, "--output", "json"])
        .await;
    let described: Value = serde_json::from_str(&described).unwrap();
    let pending = &described["pendingActivities"][0];
    assert_eq!(pending["activityType"]["name"], "collect-export", "{described:#}");
    assert_eq!(account.export(&export).await["status"], "running");

    // WHEN everything is killed, and started again.
    product.kill_everything().await;
    product.start_everything_again().await;

    // THEN it is made, and by an attempt that took up the killed one.
    let ready = eventually("the export is over", async || {
        let shown = account.export(&export).await;
        (shown["status"] != "requested" && shown["status"] != "running").then_some(shown)
    })
    .await;
    assert_eq!(
        (&ready["status"], &ready["progress"]["rows"]),
        (&"ready".into(), &RECORDS.into()),
        "{ready}"
    );
    let history = product
        .temporal
        .cli(&["workflow", "show", "--workflow-id", &workflow, "--output", "json"])
        .await;
    let history: Value = serde_json::from_str(&history).unwrap();
    let attempts = history["events"].as_array().unwrap().iter();
    let attempts = attempts.filter_map(|event| event["activityTaskStartedEventAttributes"]["attempt"].as_u64());
    assert!(attempts.max().unwrap() > 1, "an attempt was lost with its process");

    // AND each record is in its file once.
    let file = account.download(ready["url"].as_str().unwrap()).await;
    let lines = file.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut exported: Vec<String> = lines.map(|line| line["key"].as_str().unwrap().to_owned()).collect();
    exported.sort();
    keys.sort();
    assert_eq!(exported, keys);
    assert_eq!(files_below(&parts), 0, "parts are gone when the file is whole");

    // AND its recipient was told once.
    eventually("nothing is left to do", async || {
        let tasks = product.json(&["tasks", "list", "--topic", "notification-email"]);
        let tasks = tasks["tasks"].as_array().unwrap();
        (!tasks.is_empty() && tasks.iter().all(|task| task["state"] == "completed")).then_some(())
    })
    .await;
    let told: Vec<(i64,)> = sqlx::query_as("SELECT count(*) FROM reference.notifications")
        .fetch_all(&mut product.connection().await)
        .await
        .unwrap();
    assert_eq!(told, [(1,)]);
    let received = product.mail.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!(received[0].to, ["owner@acme.example"]);
}
