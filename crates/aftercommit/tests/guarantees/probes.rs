//! What a load balancer, an orchestrator and Prometheus see.

use std::collections::BTreeSet;
use std::time::Duration;

use aftercommit::domain::contract::{Cause, Json, Limits, TaskEnvelope, Tenant};
use aftercommit::domain::failure::{ErrorClass, Failure};
use aftercommit::domain::tasks::Coalescing;
use serde_json::json;

use crate::place::{PATIENCE, Place};

#[tokio::test]
async fn a_process_whose_loops_work_is_ready() {
    let place = Place::new().open().await;
    place.api.emit(7).await;
    let mut running = place.start();
    running.ran().await;
    let ready = running.api.get("/ready").await.json(200);
    assert_eq!((&ready["ready"], &ready["causes"]), (&json!(true), &json!([])));
    assert_eq!(
        running.api.loops().await,
        [
            "orders",
            "relay",
            "rescuer",
            "scheduler",
            "topic domain-events",
            "topic measured",
            "topic receipts"
        ]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_loop_that_backs_off_makes_the_process_not_ready_with_its_cause_until_it_succeeds() {
    let place = Place::new().open().await;
    let relay = place.kit().health().register("relay");
    relay.failed(&Failure::new(
        "store.unavailable",
        ErrorClass::Outage,
        "the disk is full",
    ));
    let not_ready = place.api.get("/ready").await.json(503);
    assert_eq!(not_ready["ready"], false);
    let cause = not_ready["causes"][0].as_str().unwrap();
    assert!(
        cause.starts_with("relay: ") && cause.contains("the disk is full"),
        "{cause}"
    );
    assert_eq!(
        place.api.get("/health").await.json(200)["loops"][0]["status"],
        "backing_off"
    );
    relay.succeeded();
    place.api.get("/ready").await.json(200);
    place.close().await;
}

#[tokio::test]
async fn a_process_that_stops_is_not_ready() {
    let place = Place::new().open().await;
    place.kit().health().set_stopping();
    let not_ready = place.api.get("/ready").await.json(503);
    assert_eq!(
        not_ready["causes"],
        json!(["stopping: no new work is taken; it ends by itself"])
    );
    place.close().await;
}

#[tokio::test]
async fn a_database_that_does_not_answer_makes_the_process_not_ready() {
    let place = Place::new().open().await;
    place.kit().close().await;
    let not_ready = place.api.get("/ready").await.json(503);
    let causes = not_ready["causes"].to_string();
    assert!(causes.contains("database: ") && causes.contains("queue: "), "{causes}");
    assert_eq!(place.api.get("/health").await.status, 200, "the process itself lives");
    assert_eq!(place.api.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn metrics_count_what_ran_and_their_labels_name_nothing_but_what_was_declared() {
    let place = Place::new();
    let opened = place.open().await;
    let payload = json!({ "organization_id": "organization-of-this-test", "project_id": "2" });
    let publish =
        |delay_ms: u64| json!({ "topic": "measured", "task": "count", "payload": payload, "delay_ms": delay_ms });
    opened.api.post("/admin/v1/tasks", &publish(0)).await.json(202);
    opened.api.post("/admin/v1/tasks", &publish(3_600_000)).await.json(202);
    let metrics = opened.api.clone();
    opened.run_one().await;
    let opened = place.open().await;
    // The gauges are of this moment, although nobody asked for readiness.
    let text = opened.api.get("/metrics").await.text;
    let expected = [
        "aftercommit_tasks_total{topic=\"measured\",task=\"count\",outcome=\"completed\"} 1",
        "aftercommit_tasks_total{topic=\"measured\",task=\"count\",outcome=\"dead\"} 0",
        "aftercommit_task_run_seconds_count{topic=\"measured\"} 1",
        "aftercommit_task_wait_seconds_count{topic=\"measured\"} 1",
        "aftercommit_topic_tasks{topic=\"measured\",state=\"scheduled\"} 1",
        "aftercommit_topic_tasks{topic=\"measured\",state=\"available\"} 0",
        "aftercommit_outbox_rows{state=\"waiting\"} ",
        "aftercommit_relay_published_total ",
    ];
    for line in expected {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("organization-of-this-test"), "{text}");
    let mut labels = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((_, rest)) = line.split_once('{') {
            let (inside, _) = rest.rsplit_once('}').unwrap();
            labels.extend(
                inside
                    .split(',')
                    .map(|label| label.split_once('=').unwrap().0.to_owned()),
            );
        }
    }
    let known = ["kind", "le", "outcome", "state", "task", "topic", "what", "why"].map(str::to_owned);
    assert!(labels.is_subset(&known.into()), "{labels:?}");
    drop(metrics);
    opened.close().await;
}

/// The names in the guide's table, without those that only a broker or an engine has.
fn documented_metrics() -> BTreeSet<String> {
    let guide = include_str!("../../../../docs/guides/operate.md");
    let (_, table) = guide.split_once("<!-- metrics -->").unwrap();
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| `") && !line.contains("RabbitMQ only") && !line.contains("Temporal only"));
    rows.filter_map(|row| row.split('`').nth(1))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn every_metric_is_in_the_guide_and_every_one_of_the_guide_is_there() {
    let place = Place::new().open().await;
    place.api.emit(7).await;
    let mut running = place.start();
    running.ran().await;
    let text = running.api.get("/metrics").await.text;
    let names = text
        .lines()
        .filter_map(|line| line.split_whitespace().next().filter(|word| *word != "#"));
    let shown: BTreeSet<String> = names
        .map(|line| line.split('{').next().unwrap_or_default())
        .map(|name| {
            ["_bucket", "_sum", "_count"]
                .iter()
                .fold(name, |name, end| name.strip_suffix(end).unwrap_or(name))
        })
        .filter(|name| name.starts_with("aftercommit_"))
        .map(str::to_owned)
        .collect();
    assert_eq!(shown, documented_metrics());
    running.stop().await;
}

#[tokio::test]
async fn a_name_that_a_message_brings_becomes_no_label() {
    let at_once = [("AFTERCOMMIT_WORKER__UNKNOWN_PATIENCE", "0s")];
    let place = Place::new().open_with(&at_once).await;
    let kit = place.kit().clone();
    let known = place.api.emit(7).await;
    let mut running = place.start();
    running.ran().await;
    let stranger = |topic: &str, task: &str| TaskEnvelope {
        id: kit.envelopes().new_id(),
        topic: topic.parse().unwrap(),
        task: task.parse().unwrap(),
        version: 1,
        tenant: Tenant::System,
        attempt: 1,
        enqueued_at: kit.envelopes().now(),
        first_enqueued_at: kit.envelopes().now(),
        not_before: None,
        deadline: None,
        order_key: None,
        coalescing: None,
        slot: None,
        cause: Cause::root(),
        payload: Json::parse("{}", &Limits::default()).unwrap(),
    };
    let tasks = [
        stranger("receipts", "hostile-name"),
        stranger("hostile-topic", "send"),
        // Known, and not what its contract says.
        stranger("receipts", "send"),
    ];
    let coalesced = |topic: &str| TaskEnvelope {
        coalescing: Some(Coalescing::debounce("any", Duration::from_hours(1), None)),
        ..stranger(topic, "later")
    };
    for topic in ["receipts", "receipts", "receipts", "hostile-other", "hostile-other"] {
        kit.queue_publisher().publish(vec![coalesced(topic)]).await[0]
            .as_ref()
            .unwrap();
    }
    let dead = [tasks[0].id, tasks[2].id];
    for published in kit.queue_publisher().publish(tasks.to_vec()).await {
        published.unwrap();
    }
    let looking = async {
        for id in dead {
            while running.api.get(&format!("/admin/v1/dead-letters/{id}")).await.status != 200 {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap();
    let text = running.api.get("/metrics").await.text;
    let unknown = "aftercommit_tasks_total{topic=\"receipts\",task=\"unknown\",outcome=\"dead\"} ";
    assert!(
        text.contains(unknown) && !text.contains(&format!("{unknown}0")),
        "{text}"
    );
    for line in [
        "aftercommit_coalesced_total{topic=\"receipts\",why=\"replaced\"} 2",
        "aftercommit_coalesced_total{topic=\"receipts\",why=\"dropped\"} 0",
        "aftercommit_coalesced_total{topic=\"unknown\",why=\"replaced\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("hostile") && !text.contains(&known), "{text}");
    let ready = running.api.get("/ready").await.json(200);
    let details = ready["details"].to_string();
    assert!(
        details.contains("topic hostile-topic: nobody takes its 1 tasks; since "),
        "{details}"
    );
    assert!(
        details.contains("dead letters: 2 in the last 15 min, the newest of receipts: "),
        "{details}"
    );
    running.stop().await;
}
