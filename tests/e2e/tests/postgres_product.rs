//! The product on PostgreSQL: the same program with `DATABASE_URL`, and producers that only speak SQL.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use aftercommit_e2e::{Account, PATIENCE, Product, Setup, eventually};
use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::proxy::PostgresProxy;
use aftercommit_testkit::smtp_server::RecordingSmtpServer;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// What a killed process held is free when its lease ends.
const AFTER_A_KILL: Duration = Duration::from_secs(75);
/// How long a process is watched that has nothing to do.
const OBSERVED: Duration = Duration::from_secs(12);

/// The program and its database.
struct Place {
    product: Product,
    database: TestDatabase,
}

impl Place {
    async fn start(setup: Setup) -> Self {
        let database = PostgresServer::shared().await.database(None).await;
        let product = Product::start(setup.set("DATABASE_URL", &database.url())).await;
        Self { product, database }
    }

    /// Somebody else's connection.
    async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.database.url()).await.unwrap()
    }

    async fn outbox(&self) -> Value {
        self.product.cli_json(&["outbox", "status"]).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_is_mailed_and_what_happened_can_be_looked_up_also_after_a_kill() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let mut place = Place::start(Setup::smtp(server.address()).impatient()).await;
    let account = Account::sign_up(&place.product.api(), "Acme").await;
    account.invite("grace@hopper.example").await;
    assert_eq!(server.wait_for(1).await[0].to, ["grace@hopper.example"]);
    // Answered, and killed at once: what follows, follows after the next start.
    account.invite("ada@lovelace.example").await;
    place.product.kill9();
    place.product.start_again().await;
    eventually("the second e-mail", AFTER_A_KILL, async || {
        let received = server.received();
        let is_there = received.iter().any(|email| email.to == ["ada@lovelace.example"]);
        is_there.then_some(())
    })
    .await;
    let listed = |answer: &Value, what: &str| answer[what].as_array().unwrap().len();
    let events = ["events", "list", "--name", "InvitationCreated"];
    assert_eq!(listed(&place.product.cli_json(&events).await, "events"), 2);
    eventually("both tasks have ended", PATIENCE, async || {
        let tasks = ["tasks", "list", "--topic", "invitation-email"];
        let tasks = place.product.cli_json(&tasks).await["tasks"]
            .as_array()
            .unwrap()
            .clone();
        let is_done = tasks.len() == 2 && tasks.iter().all(|task| task["state"] == "completed");
        is_done.then_some(())
    })
    .await;
    let stopped = place.product.terminate().await;
    assert_eq!(stopped.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_of_version_1_in_the_database_is_run_by_this_build() {
    let mut place = Place::start(Setup::default()).await;
    let account = Account::sign_up(&place.product.api(), "Acme").await;
    let (organization, project) = (account.organization_id.as_str(), account.project_id.as_str());
    eventually("the project is provisioned", PATIENCE, async || {
        let tasks = place.product.cli_json(&["tasks", "list", "--topic", "projects"]).await;
        (tasks["tasks"][0]["state"] == "completed").then_some(())
    })
    .await;
    // GIVEN a row that an older build left: it listed the records one by one.
    place.product.terminate().await;
    let payload = json!({
        "organization_id": organization, "project_id": project, "batch": "records/1",
        "record_ids": ["0192f0c1-7a3b-7c4d-8e5f-0123456789ab", "0192f0c1-7a3b-7c4d-8e5f-0123456789ac"],
    });
    let row = format!(
        "SELECT aftercommit.write_event('RecordsIngested', '{organization}', '{project}', 'project', '{project}', \
         '{payload}', 1)"
    );
    place.connection().await.execute(AssertSqlSafe(row)).await.unwrap();
    // WHEN this build starts, THEN what follows from the event is done.
    place.product.start_again().await;
    eventually("its task has ended", PATIENCE, async || {
        let tasks = place.product.cli_json(&["tasks", "list", "--topic", "usage"]).await;
        (tasks["tasks"][0]["state"] == "completed").then_some(())
    })
    .await;
    let used: (i64, i64) = sqlx::query_as("SELECT batches, records FROM reference.usage_periods")
        .fetch_one(&mut place.connection().await)
        .await
        .unwrap();
    assert_eq!(used, (1, 2), "its two records are counted");
    let letters = place.product.cli_json(&["dead-letters", "list"]).await;
    assert_eq!(letters["dead_letters"], json!([]));
    let events = place
        .product
        .cli_json(&["events", "list", "--name", "RecordsIngested"])
        .await;
    let logged = &events["events"][0]["event"];
    assert_eq!(
        (&logged["schemaversion"], &logged["data"]),
        (&json!(1), &payload),
        "kept as it was written"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_written_in_sql_reaches_its_handler_and_a_bad_one_fails_or_is_set_aside_with_the_reason() {
    let place = Place::start(Setup::default()).await;
    let account = Account::sign_up(&place.product.api(), "Acme").await;
    let (organization, project) = (account.organization_id.as_str(), account.project_id.as_str());
    let mut connection = place.connection().await;
    connection
        .execute("CREATE TABLE public.imports (id bigint PRIMARY KEY)")
        .await
        .unwrap();
    let import = |number: u32, name: &str, payload: &Value| {
        format!(
            "BEGIN; INSERT INTO public.imports VALUES ({number}); \
             SELECT aftercommit.write_event('{name}', '{organization}', '{project}', 'project', '{project}', '{payload}'); \
             COMMIT"
        )
    };
    let payload = json!({"organization_id": organization, "project_id": project});
    let written = import(1, "ProjectDeleted", &payload);
    connection.execute(AssertSqlSafe(written)).await.unwrap();
    eventually("its handler ran", PATIENCE, async || {
        let tasks = place.product.cli_json(&["tasks", "list", "--topic", "records"]).await;
        let tasks = tasks["tasks"].as_array().unwrap().clone();
        tasks
            .iter()
            .any(|task| task["task"] == "purge-by-project" && task["state"] == "skipped")
            .then_some(())
    })
    .await;

    // A bad name fails the transaction, the business row with it.
    let refused = connection
        .execute(AssertSqlSafe(import(2, "project deleted", &payload)))
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("'project deleted' is no event name"),
        "{refused}"
    );
    connection.execute("ROLLBACK").await.unwrap();
    let imports: i64 = sqlx::query_scalar("SELECT count(*) FROM public.imports")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(imports, 1);

    // What SQL cannot know, the relay finds out.
    let incomplete = json!({"organization_id": organization});
    connection
        .execute(AssertSqlSafe(import(3, "ProjectDeleted", &incomplete)))
        .await
        .unwrap();
    let status = eventually("it is set aside", PATIENCE, async || {
        let status = place.outbox().await;
        (status["quarantined"] == 1).then_some(status)
    })
    .await;
    let aside = &status["set_aside"][0];
    let (what, reason) = (aside["what"].as_str().unwrap(), aside["reason"].as_str().unwrap());
    assert!(what.starts_with("event ProjectDeleted "), "{what}");
    assert!(reason.contains("missing field `project_id`"), "{reason}");
    let shown = place.product.cli(&["outbox", "status"]).await;
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("missing field `project_id`"), "{shown}");
    println!("{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_with_nothing_to_do_asks_the_server_at_most_ten_times_a_second() {
    let database = PostgresServer::shared().await.database(None).await;
    let proxy = PostgresProxy::start(PostgresServer::shared().await.address())
        .await
        .unwrap();
    let url = database.urls().through(proxy.address()).url();
    let product = Product::start(Setup::default().set("DATABASE_URL", &url)).await;
    Account::sign_up(&product.api(), "Acme").await;
    let at_rest = eventually("what followed has been done", PATIENCE, async || {
        let status = product.cli_json(&["outbox", "status"]).await;
        let is_empty = status["waiting"] == 0 && status["claimed"] == 0;
        (is_empty && status["topics"] == json!([])).then_some(())
    });
    at_rest.await;
    let before = proxy.statements();
    tokio::time::sleep(OBSERVED).await;
    let asked = proxy.statements() - before;
    println!("{asked} statements in {OBSERVED:?}");
    assert!(asked <= 10 * OBSERVED.as_secs(), "{asked} statements in {OBSERVED:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_neither_migrate_nor_need_the_products_tables_in_the_database_of_another_application() {
    let mut place = Place::start(Setup::default()).await;
    place.product.terminate().await;
    let elsewhere = PostgresServer::shared().await.database(None).await;
    place
        .product
        .set_up(Setup::default().set("DATABASE_URL", &elsewhere.url()));
    let refused = place.product.cli(&["outbox", "status"]).await;
    assert_eq!(refused.status.code(), Some(78));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("lacks migration 1; run `aftercommit migrate`"), "{told}");
    // As a team applies it that has a migration tool of its own.
    let script = place
        .product
        .cli(&["migrate", "--dry-run", "--schema", "aftercommit"])
        .await;
    assert!(script.status.success());
    let mut connection = PgConnection::connect(&elsewhere.url()).await.unwrap();
    let script = String::from_utf8(script.stdout).unwrap();
    sqlx::raw_sql(AssertSqlSafe(script))
        .execute(&mut connection)
        .await
        .unwrap();
    let nothing = place.product.cli(&["migrate", "--schema", "aftercommit"]).await;
    assert_eq!(
        String::from_utf8(nothing.stdout).unwrap(),
        "the tables are of this version already\n"
    );
    let status = place.product.cli_json(&["outbox", "status"]).await;
    assert_eq!(status["waiting"], 0);
    let has_product: bool = sqlx::query_scalar("SELECT to_regnamespace('reference') IS NOT NULL")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(!has_product);
}
