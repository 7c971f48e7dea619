//! What an account needs outside the product, and what takes days: workflows that commits of the programs start.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::account::Account;
use crate::installation::{Installation, Part, eventually};

/// Beyond the ten thousand that are included.
const USED: i64 = 10_500;

/// Whether the engine says this of the workflow.
async fn is_of(product: &Installation, id: &str, status: &str) {
    eventually(&format!("{id} is {status}"), async || {
        let output = product.ask(&["workflows", "describe", id, "--json"]);
        let described: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (described["status"] == status).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_provisioned_its_overage_reported_and_a_deletion_taken_back_and_all_of_it_is_counted() {
    let product = Installation::start().await;
    let account = Account::sign_up(&product.url()).await;
    let (organization, project, user) = (&account.organization_id, &account.project_id, &account.user_id);

    // A new project is provisioned.
    let provisioning = format!("{organization}/{project}/project-provisioning/{project}");
    is_of(&product, &provisioning, "completed").await;
    let mut connection = product.connection().await;
    let (provisioned,): (bool,) = sqlx::query_as(
        "SELECT provisioned_at IS NOT NULL FROM reference.projects WHERE organization_id = $1 AND id = $2",
    )
    .bind(organization)
    .bind(project)
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(provisioned);

    // To be asked is to be run once more, and no end.
    product.ask(&["workflows", "query", &provisioning, "nothing"]);

    // What it used beyond what is included is charged for once.
    let (month,): (String,) = sqlx::query_as(
        "INSERT INTO reference.usage_periods (organization_id, project_id, month, batches, records) \
         VALUES ($1, $2, date_trunc('month', now() AT TIME ZONE 'UTC')::date, 1, $3) RETURNING month::text",
    )
    .bind(organization)
    .bind(project)
    .bind(USED)
    .fetch_one(&mut connection)
    .await
    .unwrap();
    let task = json!({ "organization_id": organization, "project_id": project, "month": month }).to_string();
    product.json(&["tasks", "publish", "billing", "report-overage", "--payload", &task]);
    let report = eventually("the overage is settled", async || {
        let reported = "SELECT id::text FROM reference.overage_reports WHERE reported_at IS NOT NULL";
        let found: Option<(String,)> = sqlx::query_as(reported).fetch_optional(&mut connection).await.unwrap();
        found.map(|(id,)| id)
    })
    .await;
    is_of(
        &product,
        &format!("{organization}/{project}/billing-overage/{report}"),
        "completed",
    )
    .await;
    let charged: Vec<(i64,)> = sqlx::query_as("SELECT records FROM reference.billing_ledger")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(charged, [(500,)]);

    // A deletion waits for its grace, and is taken back in it.
    let deletion = format!("{organization}/-/user-deletion/{user}");
    let path = format!("/v1/users/{user}");
    account.ask(Method::DELETE, &path, None, 202).await;
    is_of(&product, &deletion, "running").await;
    let described = product.json(&["workflows", "describe", &deletion]);
    let waiting = described["waiting"].as_array().unwrap().iter();
    let waiting: BTreeSet<&str> = waiting.map(|step| step["label"].as_str().unwrap()).collect();
    assert_eq!(waiting, ["signal keep", "sleep"].into(), "{described:#}");
    account.ask(Method::POST, &format!("{path}/keep"), None, 202).await;
    is_of(&product, &deletion, "cancelled").await;

    let metrics = product.metrics(Part::Workflows).await;
    for line in [
        "aftercommit_workflow_runs_total{workflow=\"project-provisioning\",outcome=\"completed\"} 1",
        "aftercommit_workflow_runs_total{workflow=\"billing-overage\",outcome=\"completed\"} 1",
        "aftercommit_workflow_runs_total{workflow=\"user-deletion\",outcome=\"cancelled\"} 1",
        "aftercommit_activities_total{activity=\"open-project-service\",outcome=\"completed\"} 3",
        "aftercommit_activity_run_seconds_count{activity=\"charge-overage\"} 1",
    ] {
        assert!(
            metrics.lines().any(|shown| shown == line),
            "{line} is not in\n{metrics}"
        );
    }
    let calls = product.metrics(Part::Topics).await;
    let started = "aftercommit_workflow_calls_total{call=\"StartWorkflowExecution\",outcome=\"answered\"} 3";
    assert!(calls.lines().any(|shown| shown == started), "{calls}");
    let shown = [metrics, calls].concat();
    let shown: BTreeSet<&str> = shown.lines().filter_map(name_of_ours).collect();
    assert_eq!(shown, documented());
}

/// The metric of the engine that this line is of.
fn name_of_ours(line: &str) -> Option<&str> {
    let name = line.split(['{', ' ']).next()?;
    let name = ["_bucket", "_sum", "_count"]
        .iter()
        .fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
    let is_of_the_engine = name.starts_with("aftercommit_workflow_") || name.starts_with("aftercommit_activit");
    is_of_the_engine.then_some(name)
}

/// Those of the guide's table.
fn documented() -> BTreeSet<&'static str> {
    let guide = include_str!("../../../../docs/guides/operate.md");
    let rows = guide
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains("Temporal only"));
    rows.filter_map(|row| row.split('`').nth(1)).collect()
}
