//! What a load balancer, an orchestrator and Prometheus see.

use std::collections::BTreeSet;

use aftercommit::domain::failure::{ErrorClass, Failure};
use serde_json::json;

use crate::place::Place;

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
            "relay",
            "rescuer",
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
    assert_eq!(not_ready["causes"], json!(["stopping: no new work is taken; it ends by itself"]));
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
    let known = ["kind", "le", "outcome", "state", "task", "topic"].map(str::to_owned);
    assert!(labels.is_subset(&known.into()), "{labels:?}");
    drop(metrics);
    opened.close().await;
}
