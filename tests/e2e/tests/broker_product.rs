//! The product on PostgreSQL and RabbitMQ, as processes apart: what comes to the broker that is no task, a broker that is short
//! of memory or away, and what operators see of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aftercommit_e2e::broker::SEALING_KEYS;
use aftercommit_e2e::{Account, PATIENCE, Product, Program, Setup, eventually};
use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::{Value, json};

/// A bound of waiting, not a promise: a machine full of tests is slow.
const RECOVERY: Duration = Duration::from_mins(1);

async fn setup(amqp_url: &str) -> (Setup, TestDatabase) {
    let database = PostgresServer::shared().await.database(None).await;
    let setup = Setup::default()
        .set("DATABASE_URL", &database.url())
        .set("AMQP_URL", amqp_url)
        .set("AFTERCOMMIT_SEALING__KEYS", SEALING_KEYS)
        .set("AFTERCOMMIT_AMQP__HEARTBEAT", "1s")
        .set("AFTERCOMMIT_AMQP__CONFIRM_TIMEOUT", "3s")
        .set("AFTERCOMMIT_WORKER__UNKNOWN_PATIENCE", "2s")
        .set("AFTERCOMMIT_LOG__FILTER", "info,lapin=off");
    (setup, database)
}

/// An id that no other task of this test has.
fn new_id() -> String {
    static IDS: AtomicU32 = AtomicU32::new(1);
    format!("0192f0c1-7a3b-7c4d-8e5f-{:012x}", IDS.fetch_add(1, Ordering::Relaxed))
}

/// A task of the product that a handler reads and finds nothing to do for.
fn task() -> Value {
    json!({
        "id": new_id(), "topic": "records", "task": "purge-by-project", "version": 1,
        "organization_id": "acme", "project_id": "web",
        "enqueued_at": "2026-11-28T10:00:00Z", "first_enqueued_at": "2026-11-28T10:00:00Z",
        "payload": {"organization_id": "acme", "project_id": "web"},
    })
}

/// The task with something changed.
fn with(changes: &Value) -> Vec<u8> {
    let mut task = task();
    for (name, value) in changes.as_object().unwrap() {
        task[name] = value.clone();
    }
    task.to_string().into_bytes()
}

fn without(name: &str) -> Vec<u8> {
    let mut task = task();
    task.as_object_mut().unwrap().remove(name);
    task.to_string().into_bytes()
}

/// What a sender could put on the wire, by its number in the catalogue of bad input, and the code of the dead letter.
#[expect(clippy::too_many_lines, reason = "a table")]
fn garbage() -> Vec<(&'static str, BasicProperties, Vec<u8>, &'static str)> {
    let plain = BasicProperties::default;
    let json = || plain().with_content_type("application/json".into());
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let envelope = |payload: &str| {
        format!(
            "{{\"id\":\"{}\",\"topic\":\"records\",\"task\":\"purge-by-project\",\"version\":1,\"organization_id\":\"acme\",\
             \"project_id\":\"web\",\"enqueued_at\":\"2026-11-28T10:00:00Z\",\"first_enqueued_at\":\
             \"2026-11-28T10:00:00Z\",\"payload\":{payload}}}",
            new_id()
        )
        .into_bytes()
    };
    let twice = String::from_utf8(with(&json!({})))
        .unwrap()
        .replacen('{', "{\"task\":\"x\",", 1);
    let mut table = vec![
        ("B01", json(), Vec::new(), "envelope.empty"),
        ("B02 no JSON", json(), b"hello".to_vec(), "envelope.malformed"),
        ("B02 cut", json(), b"{\"id\":".to_vec(), "envelope.malformed"),
        (
            "B02 trailing",
            json(),
            [with(&json!({})), b"x".to_vec()].concat(),
            "envelope.malformed",
        ),
        (
            "B02 BOM",
            json(),
            [b"\xef\xbb\xbf".to_vec(), with(&json!({}))].concat(),
            "envelope.malformed",
        ),
        ("B03", json(), b"\xff\xfe{}".to_vec(), "envelope.encoding"),
        (
            "B04",
            plain().with_content_type("text/xml".into()),
            with(&json!({})),
            "envelope.content_type",
        ),
        (
            "B05",
            json().with_content_encoding("gzip".into()),
            b"\x1f\x8b\x08".to_vec(),
            "envelope.content_type",
        ),
        ("B06", json(), vec![b'x'; 1024 * 1024 + 1], "envelope.too_large"),
        ("B07", json(), envelope(&deep), "json.too_deep"),
        (
            "B08",
            json(),
            envelope(&format!("[{}1]", "1,".repeat(60_000))),
            "json.too_many_values",
        ),
        ("B09", json(), twice.into_bytes(), "json.duplicate_key"),
        (
            "B10",
            json(),
            envelope("{\"organization_id\":\"acme\",\"project_id\":\"web\",\"x\":\"\\u0000\"}"),
            "payload.nul",
        ),
        (
            "B11",
            json(),
            envelope("{\"organization_id\":\"\\ud83d\",\"project_id\":\"web\"}"),
            "payload.malformed",
        ),
        ("B13", json(), envelope("{\"x\":NaN}"), "envelope.malformed"),
        ("B14", json(), with(&json!({"task": "burn"})), "handler.unknown"),
        ("B15", json(), with(&json!({"version": 9})), "version.unsupported"),
        ("B16 both", json(), without("organization_id"), "tenant.missing"),
        ("B16 project", json(), without("project_id"), "tenant.missing"),
        (
            "B17",
            json(),
            with(&json!({"organization_id": "evil"})),
            "tenant.mismatch",
        ),
        (
            "B18 upper case",
            json(),
            with(&json!({"id": "0192F0C1-7A3B-7C4D-8E5F-0123456789AB"})),
            "id.invalid",
        ),
        (
            "B18 braces",
            json(),
            with(&json!({"id": "{0192f0c1-7a3b-7c4d-8e5f-0123456789ab}"})),
            "id.invalid",
        ),
        (
            "B18 nil",
            json(),
            with(&json!({"id": "00000000-0000-0000-0000-000000000000"})),
            "id.invalid",
        ),
        ("B19", json(), without("id"), "id.missing"),
        ("B21", json(), with(&json!({"task": "a*b #"})), "envelope.malformed"),
    ];
    // Headers that are somebody else's say nothing.
    let mut forged = FieldTable::default();
    forged.insert("x-death".into(), AMQPValue::LongString("me".into()));
    forged.insert("aftercommit-attempts".into(), AMQPValue::LongLongInt(1 << 31));
    table.push((
        "B25",
        json().with_headers(forged),
        b"nothing".to_vec(),
        "envelope.malformed",
    ));
    table
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_comes_to_the_broker_that_is_no_task_is_a_dead_letter_that_says_why_and_harms_no_other() {
    let url = RabbitMqServer::shared().await.new_vhost().await;
    let (setup, _database) = setup(&url).await;
    let workers = Product::start_program(Program::Workers, setup).await;
    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let publish = async |properties: BasicProperties, body: &[u8]| {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let confirm = channel.basic_publish("aftercommit.tasks".into(), "records".into(), options, body, properties);
        let confirmation = confirm.await.unwrap().await.unwrap();
        assert!(confirmation.is_ack() && confirmation.take_message().is_none());
    };
    let table = garbage();
    for (what, properties, body, _) in &table {
        println!("{what}: {} bytes", body.len());
        publish(properties.clone(), body).await;
    }
    let good = task();
    publish(BasicProperties::default(), good.to_string().as_bytes()).await;

    let path = format!("/admin/v1/tasks/{}", good["id"].as_str().unwrap());
    let done = eventually("the good task after all of them has ended", RECOVERY, async || {
        let answer = workers.admin().get(&path).await;
        (answer.status == 200)
            .then(|| answer.json())
            .filter(|task| task["finished_at"].is_string())
    })
    .await;
    assert_eq!(done["state"], "completed", "{done}");
    let mut expected: Vec<&str> = table.iter().map(|(.., code)| *code).collect();
    expected.sort_unstable();
    let mut codes: Vec<String> = Vec::new();
    eventually("every one is a dead letter", RECOVERY, async || {
        let letters = workers
            .admin()
            .get("/admin/v1/dead-letters?limit=100")
            .await
            .expect(200);
        let letters = letters["dead_letters"].as_array()?.clone();
        codes = letters
            .iter()
            .map(|letter| letter["failure"]["code"].as_str().unwrap().to_owned())
            .collect();
        (codes.len() >= expected.len()).then_some(())
    })
    .await;
    codes.sort_unstable();
    assert_eq!(codes, expected);
    eventually("the workers are ready", PATIENCE, async || {
        causes(&workers).await.is_empty().then_some(())
    })
    .await;
    connection.close(200, "OK".into()).await.unwrap();
}

/// Why a process is not ready.
async fn causes(product: &Product) -> Vec<String> {
    let ready = product.api().get("/ready").await.json();
    let causes = ready["causes"].as_array().unwrap().iter();
    causes.map(|cause| cause.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_short_of_memory_or_away_is_named_and_the_api_goes_on() {
    let broker = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let (setup, _database) = setup(&broker.url()).await;
    let mut workers = Product::start_program(Program::Workers, setup.clone()).await;
    let api = Product::start_program(Program::Api, setup).await;
    let account = Account::sign_up(&api.api(), "Acme").await;
    account.invite("ada@acme.example").await;
    eventually("the first e-mail is there", RECOVERY, async || {
        (workers.mail_files().len() == 1).then_some(())
    })
    .await;

    broker.memory_alarm(true).await;
    account.invite("grace@acme.example").await;
    eventually("the workers say what it is", RECOVERY, async || {
        causes(&workers)
            .await
            .iter()
            .any(|cause| cause.starts_with("broker blocked: memory; since "))
            .then_some(())
    })
    .await;
    assert_eq!(
        causes(&api).await,
        Vec::<String>::new(),
        "the API stores what it is asked for"
    );
    broker.memory_alarm(false).await;
    eventually(
        "the second e-mail is there, and nothing was restarted",
        RECOVERY,
        async || (workers.mail_files().len() == 2).then_some(()),
    )
    .await;
    eventually("the workers are ready", PATIENCE, async || {
        causes(&workers).await.is_empty().then_some(())
    })
    .await;

    broker.kill().await;
    account.invite("edsger@acme.example").await;
    eventually("the workers say that it is away", RECOVERY, async || {
        let causes = causes(&workers).await;
        causes
            .iter()
            .any(|cause| cause.starts_with("broker: 127.0.0.1:"))
            .then_some(())
    })
    .await;
    assert_eq!(causes(&api).await, Vec::<String>::new());
    let doctor = workers.cli(&["doctor"]).await;
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert_eq!(doctor.status.code(), Some(1), "{said}");
    assert!(
        said.contains("FAIL  broker") && said.contains("see that the broker runs"),
        "{said}"
    );
    broker.start_again().await;
    eventually("the third e-mail is there", RECOVERY, async || {
        (workers.mail_files().len() == 3).then_some(())
    })
    .await;
    let topics = workers.cli_json(&["topics", "list"]).await;
    let parts = topics["broker"].as_array().unwrap();
    assert!(parts.iter().all(|part| part["exists"] == true), "{topics}");
    let stopped = workers.terminate().await;
    assert_eq!(stopped.code, Some(0), "{}", workers.log());
}
