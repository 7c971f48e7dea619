//! Other languages beside Rust on one broker: the programs of `examples/interop` with the processes of the product.
//!
//! `cargo xtask test --pass interop` installs what they need, and runs this.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use aftercommit_e2e::broker::SEALING_KEYS;
use aftercommit_e2e::{Account, Language, PATIENCE, Product, Program, Setup, eventually};
use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use serde_json::{Value, json};

/// What the broker gave up is looked for every fifteen seconds.
const DRAINED: Duration = Duration::from_mins(1);

/// The product as two processes on a database and a broker of their own.
struct Place {
    api: Product,
    workers: Product,
    amqp_url: String,
    _database: TestDatabase,
}

impl Place {
    async fn start() -> Self {
        Self::start_on(RabbitMqServer::shared().await.new_vhost().await).await
    }

    async fn start_on(amqp_url: String) -> Self {
        let database = PostgresServer::shared().await.database(None).await;
        let setup = Setup::default()
            .set("DATABASE_URL", &database.url())
            .set("AMQP_URL", &amqp_url)
            .set("AFTERCOMMIT_SEALING__KEYS", SEALING_KEYS)
            .set("AFTERCOMMIT_AMQP__PUBLISH_EVENTS", "true")
            .set("AFTERCOMMIT_WORKER__UNKNOWN_PATIENCE", "2s")
            .set("AFTERCOMMIT_LOG__FILTER", "info,lapin=off");
        // One after the other: the first makes the tables.
        let workers = Product::start_program(Program::Workers, setup.clone()).await;
        let api = Product::start_program(Program::Api, setup).await;
        Self {
            api,
            workers,
            amqp_url,
            _database: database,
        }
    }

    /// The task as operators see it, once it has ended.
    async fn ended(&self, id: &str) -> Value {
        eventually("the task has ended", PATIENCE, async || {
            let answer = self.workers.admin().get(&format!("/admin/v1/tasks/{id}")).await;
            (answer.status == 200)
                .then(|| answer.json())
                .filter(|task| task["finished_at"].is_string())
        })
        .await
    }

    /// The dead letter that `is_it`.
    async fn dead_letter(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually("the dead letter", DRAINED, async || {
            let answer = self.workers.admin().get("/admin/v1/dead-letters").await.expect(200);
            answer["dead_letters"]
                .as_array()?
                .iter()
                .find(|letter| is_it(letter))
                .cloned()
        })
        .await
    }

    /// The code of the dead letter of this id.
    async fn code_of(&self, id: &str) -> String {
        let letter = self.dead_letter(|letter| letter["id"] == id).await;
        letter["failure"]["code"].as_str().unwrap().to_owned()
    }
}

async fn create_project(account: &Account, name: &str) -> String {
    let project = account
        .api
        .post("/v1/projects", &json!({"name": name}))
        .await
        .expect(201);
    project["project_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python and Node; cargo xtask test --pass interop runs it"]
async fn a_task_published_from_another_language_is_run_by_its_handler_in_rust() {
    let place = Place::start().await;
    let account = Account::sign_up(&place.api.api(), "Acme").await;
    for language in Language::ALL {
        let project = create_project(&account, &format!("{language:?}")).await;
        let payload = json!({"organization_id": account.organization_id, "project_id": project});
        let publish = async || {
            language
                .publish_task(&place.amqp_url, "records", "purge-by-project", &payload)
                .await
        };
        let early = place.ended(&publish().await).await;
        assert_eq!(
            (early["state"].as_str(), early["reason"].as_str()),
            (Some("skipped"), Some("the project is not deleted")),
            "{language:?}: {early}"
        );
        account.api.delete(&format!("/v1/projects/{project}")).await.expect(202);
        let done = place.ended(&publish().await).await;
        assert_eq!(done["state"], "completed", "{language:?}: {done}");
        println!("{language:?}: {early}\n{language:?}: {done}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python and Node; cargo xtask test --pass interop runs it"]
async fn a_listener_in_another_language_gets_each_event_that_was_committed_and_no_other() {
    let place = Place::start().await;
    let mut listeners = Vec::new();
    for language in Language::ALL {
        let queue = format!("billing-{language:?}");
        let events = [&*queue, "ProjectCreated", "ProjectDeleted"];
        listeners.push(language.start(&place.amqp_url, "listen", &events).await);
    }
    let account = Account::sign_up(&place.api.api(), "Acme").await;
    for listener in &listeners {
        assert_eq!(
            listener.next().await["projectid"],
            account.project_id,
            "its first project"
        );
    }
    let request = account.api.request("POST", "/v1/projects");
    let request = request.header("x-request-id", "the-request");
    let made = account
        .api
        .send(request.json(&json!({"name": "Rockets"})))
        .await
        .expect(201);
    let project = made["project_id"].as_str().unwrap();
    // Refused, so that nothing happened.
    account
        .api
        .post("/v1/projects", &json!({"name": ""}))
        .await
        .problem(422, "input.invalid");
    account.api.delete(&format!("/v1/projects/{project}")).await.expect(202);

    for (language, listener) in Language::ALL.iter().zip(&listeners) {
        let (created, deleted) = (listener.next().await, listener.next().await);
        println!("{language:?}: {created}\n{language:?}: {deleted}");
        for (event, name) in [(&created, "ProjectCreated"), (&deleted, "ProjectDeleted")] {
            for (field, expected) in [
                ("specversion", json!("1.0")),
                ("type", json!(name)),
                ("source", json!("/aftercommit")),
                ("subject", json!(format!("project/{project}"))),
                ("datacontenttype", json!("application/json")),
                ("organizationid", json!(account.organization_id)),
                ("projectid", json!(project)),
                ("schemaversion", json!(1)),
                (
                    "data",
                    json!({"organization_id": account.organization_id, "project_id": project}),
                ),
            ] {
                assert_eq!(event[field], expected, "{language:?}, {field}: {event}");
            }
            assert!(event["time"].is_string(), "{event}");
            // As operators see it, by the same id.
            let id = event["id"].as_str().unwrap();
            let logged = place.workers.admin().get(&format!("/admin/v1/events/{id}")).await;
            assert_eq!(&logged.expect(200)["event"], event, "{language:?}");
        }
        assert_eq!(created["correlationid"], "the-request", "{language:?}");
        let position = |event: &Value| event["sequence"].as_str().unwrap().parse::<u64>().unwrap();
        assert!(position(&created) < position(&deleted), "{language:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python and Node; cargo xtask test --pass interop runs it"]
async fn what_no_handler_can_read_becomes_a_dead_letter_that_says_why() {
    let place = Place::start().await;
    for language in Language::ALL {
        let publish = async |topic: &str, task: &str, payload: Value| {
            language.publish_task(&place.amqp_url, topic, task, &payload).await
        };
        let acme = json!({"organization_id": "acme", "project_id": "web"});
        for (topic, task, payload, code) in [
            (
                "invitation-email",
                "send",
                json!({"organization_id": "acme"}),
                "payload.malformed",
            ),
            (
                "records",
                "purge-by-project",
                json!({"organization_id": "acme"}),
                "tenant.missing",
            ),
            ("records", "burn", acme.clone(), "handler.unknown"),
            ("no-such-topic", "burn", acme.clone(), "queue.unroutable"),
        ] {
            let id = publish(topic, task, payload).await;
            assert_eq!(place.code_of(&id).await, code, "{language:?}: {topic}/{task}");
        }
    }
    let garbage = "\
import pika
from broker import connect, publish
from topology import TASKS
with connect() as connection:
    channel = connection.channel()
    channel.confirm_delivery()
    for body in (b'{\"id\":', b'\\xff\\x00', b''):
        publish(channel, TASKS, 'records', body, pika.BasicProperties())
";
    Language::Python.evaluate(&place.amqp_url, garbage).await.unwrap();
    for (code, bytes) in [
        ("envelope.malformed", 6),
        ("envelope.encoding", 2),
        ("envelope.empty", 0),
    ] {
        let letter = place.dead_letter(|letter| letter["failure"]["code"] == code).await;
        println!("{letter}");
        assert_eq!(letter["topic"], "records");
        assert_eq!(letter["body_bytes"], bytes, "the raw bytes are kept");
    }
    assert_eq!(place.workers.api().get("/ready").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python and Node; cargo xtask test --pass interop runs it"]
async fn a_topic_handled_in_another_language_is_declared_alike_and_retries_until_it_gives_up() {
    // Python comes first, also with a topic that is handled in Rust; Node comes last.
    let url = RabbitMqServer::shared().await.new_vhost().await;
    let python = Language::Python.start(&url, "own_topic", &["python-letters"]).await;
    let first = "\
from broker import connect
from topology import declare_topic
with connect() as connection:
    declare_topic(connection.channel(), 'records')
";
    Language::Python.evaluate(&url, first).await.unwrap();
    let place = Place::start_on(url).await;
    let last = "\
import { run } from './broker.js';
import { declareTopic } from './topology.js';
await run((channel) => declareTopic(channel, 'records'));
";
    Language::Node.evaluate(&place.amqp_url, last).await.unwrap();
    let node = Language::Node
        .start(&place.amqp_url, "own_topic", &["node-letters"])
        .await;

    // Each is given its tasks by the other.
    let pairs = [
        (Language::Node, "python-letters", &python),
        (Language::Python, "node-letters", &node),
    ];
    let mut hopeless = Vec::new();
    for (publisher, topic, consumer) in pairs {
        let publish = async |fails: u32| {
            let payload = json!({"organization_id": "acme", "fails": fails});
            let id = publisher.publish_task(&place.amqp_url, topic, "write", &payload).await;
            (id, payload)
        };
        let (id, payload) = publish(2).await;
        assert_eq!(
            consumer.next().await,
            json!({"id": id, "task": "write", "attempt": 3, "payload": payload})
        );
        hopeless.push((topic, publish(9).await.0));
    }
    // After five attempts, with 1, 2, 4 and 8 seconds in between.
    for (topic, id) in hopeless {
        let letter = place.dead_letter(|letter| letter["id"] == *id).await;
        println!("{letter}");
        assert_eq!(letter["topic"], topic);
        assert_eq!(letter["failure"]["code"], "broker.gave_up");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python and Node; cargo xtask test --pass interop runs it"]
async fn the_programs_end_with_a_sentence_when_the_broker_refuses_or_goes() {
    let broker = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let url = broker.url();
    let declare = "\
from broker import connect
with connect() as connection:
    channel = connection.channel()
    channel.exchange_declare('aftercommit.tasks', 'topic', durable=True)
    full = {'x-queue-type': 'quorum', 'x-max-length': 1, 'x-overflow': 'reject-publish'}
    channel.queue_declare('full', durable=True, arguments=full)
    channel.queue_bind('full', 'aftercommit.tasks', 'full')
    channel.confirm_delivery()
    try:
        while True:
            channel.basic_publish('aftercommit.tasks', 'full', b'')
    except Exception as error:
        print(type(error).__name__)
";
    for language in Language::ALL {
        let publish = async |topic: &str| {
            let arguments = [topic, "greet", "{}"];
            language.output(&url, "publish_task", &arguments).await.unwrap_err()
        };
        if language == Language::Python {
            let missing = publish("full").await;
            assert!(missing.contains("no exchange 'aftercommit.tasks'"), "{missing}");
            assert_eq!(language.evaluate(&url, declare).await.unwrap(), "NackError\n");
        }
        let unroutable = publish("nobodys").await;
        assert!(
            unroutable.contains("no queue takes nobodys from the exchange aftercommit.tasks"),
            "{unroutable}"
        );
        let refused = publish("full").await;
        assert!(refused.contains("the broker refused full"), "{refused}");
        for complaint in [unroutable, refused] {
            print!("{language:?}: {complaint}");
            assert_eq!(complaint.lines().count(), 1, "{complaint}");
        }
    }
    let mut running = Vec::new();
    for language in Language::ALL {
        let queue = format!("billing-{language:?}");
        running.push(language.start(&url, "listen", &[&queue, "#"]).await);
    }
    broker.close_all_connections().await;
    for script in &mut running {
        let complaint = script.next_complaint().await;
        println!("{complaint}");
        assert!(complaint.starts_with("error: the "), "{complaint}");
        assert_eq!(script.ended().await, Some(1));
    }
}
