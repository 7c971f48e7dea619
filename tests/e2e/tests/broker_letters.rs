//! Dead letters and replays on PostgreSQL and RabbitMQ, with several processes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use aftercommit_e2e::broker::SEALING_KEYS;
use aftercommit_e2e::{Account, Product, Program, Setup, eventually};
use aftercommit_testkit::postgres_server::PostgresServer;
use aftercommit_testkit::rabbitmq_server::RabbitMqServer;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_mins(1);

/// More than the window of a replay that stops by itself.
const BROKEN: usize = 30;

/// A task whose payload its handler cannot read.
fn broken(number: usize) -> Value {
    json!({
        "id": format!("0192f0c1-7a3b-7c4d-8e5f-{number:012x}"), "topic": "records", "task": "purge-by-project", "version": 1,
        "organization_id": "acme", "project_id": "web",
        "enqueued_at": "2026-11-28T10:00:00Z", "first_enqueued_at": "2026-11-28T10:00:00Z",
        "payload": {"organization_id": "acme"},
    })
}

/// Puts so many of them on the broker.
async fn publish_broken(url: &str) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for number in 1..=BROKEN {
        let (body, options) = (broken(number).to_string(), BasicPublishOptions::default());
        let published = channel.basic_publish(
            "aftercommit.tasks".into(),
            "records".into(),
            options,
            body.as_bytes(),
            BasicProperties::default(),
        );
        assert!(published.await.unwrap().await.unwrap().is_ack());
    }
    connection.close(200, "OK".into()).await.unwrap();
}

async fn letters(product: &Product) -> Vec<Value> {
    let answer = product
        .admin()
        .get("/admin/v1/dead-letters?limit=1000")
        .await
        .expect(200);
    answer["dead_letters"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_and_events_are_replayed_by_any_of_several_processes_on_a_broker() {
    let url = RabbitMqServer::shared().await.new_vhost().await;
    let database = PostgresServer::shared().await.database(None).await;
    let setup = Setup::default()
        .set("DATABASE_URL", &database.url())
        .set("AMQP_URL", &url)
        .set("AFTERCOMMIT_SEALING__KEYS", SEALING_KEYS)
        .set("AFTERCOMMIT_LOG__FILTER", "info,lapin=off");
    let one = Product::start_program(Program::Workers, setup.clone()).await;
    let other = Product::start_program(Program::Workers, setup.clone()).await;
    let api = Product::start_program(Program::Api, setup).await;

    publish_broken(&url).await;
    eventually("all are dead letters", SOON, async || {
        (letters(&one).await.len() == BROKEN).then_some(())
    })
    .await;

    // Two processes drive one replay, which stops by itself: nothing was mended.
    let order = json!({ "what": "replay_dead_letters", "filter": { "topic": "records" }, "rate": "20/s" });
    let begun = one.admin().post("/admin/v1/bulk-runs", &order).await.expect(202);
    let again = other.admin().post("/admin/v1/bulk-runs", &order).await.expect(202);
    assert_eq!(
        (&again["goes_on"], &again["run"]["id"]),
        (&json!(true), &begun["run"]["id"])
    );
    let step = format!("/admin/v1/bulk-runs/{}/step", begun["run"]["id"].as_str().unwrap());
    let mut driver = [&one, &other].into_iter().cycle();
    let over = eventually("the replay is over", SOON, async || {
        let step = driver.next()?.admin().post(&step, &json!({})).await.expect(200);
        (step["run"]["state"] != "going").then_some(step["run"].clone())
    })
    .await;
    assert_eq!(over["state"], "stopped", "{over}");
    eventually("all are dead letters again", SOON, async || {
        (letters(&one).await.len() == BROKEN).then_some(())
    })
    .await;
    let twice = letters(&one)
        .await
        .iter()
        .filter(|letter| letter["deaths"] == 2)
        .count();
    assert_eq!(
        json!(twice),
        over["done"],
        "each that was replayed died a second time, and no other"
    );

    // One is mended, by another process than the one that read it.
    let id = broken(1)["id"].as_str().unwrap().to_owned();
    let replay = format!("/admin/v1/dead-letters/{id}/replay");
    let payload = json!({ "payload": { "organization_id": "acme", "project_id": "web" } });
    let refused = api.admin().post(&replay, &payload).await;
    refused.problem(422, "handler.unknown");
    other.admin().post(&replay, &payload).await.expect(200);
    let task = format!("/admin/v1/tasks/{id}");
    eventually("the mended task has run", SOON, async || {
        (one.admin().get(&task).await.expect(200)["state"] == "completed").then_some(())
    })
    .await;
    assert_eq!(letters(&one).await.len(), BROKEN - 1);

    // What an event led to is led to once more, for each replay id once.
    let account = Account::sign_up(&api.api(), "Acme").await;
    account.invite("ada@acme.example").await;
    let mails = || one.mail_files().len() + other.mail_files().len();
    eventually("the e-mail is there", SOON, async || (mails() == 1).then_some(())).await;
    let replay_id = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";
    let replay = [
        "events",
        "replay",
        "--name",
        "InvitationEmailRequested",
        "--route",
        "invitation-email/send",
        "--replay-id",
        replay_id,
        "--yes",
    ];
    for _ in 0..2 {
        let run = one.cli_json(&replay).await;
        assert_eq!((&run["state"], &run["tasks"]), (&json!("done"), &json!(1)));
    }
    let runs = async || {
        let tasks = one
            .admin()
            .get("/admin/v1/tasks?topic=invitation-email")
            .await
            .expect(200);
        tasks["tasks"].as_array().unwrap().clone()
    };
    eventually("the replayed task has run as well", SOON, async || {
        (runs().await.len() == 2).then_some(())
    })
    .await;
    let reasons: Vec<Value> = runs().await.iter().map(|task| task["reason"].clone()).collect();
    assert!(reasons.contains(&json!("the e-mail was sent already")), "{reasons:?}");
    assert_eq!(mails(), 1, "the handler knew that it was done");
}
