//! What is counted.

use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{Outcome, PublishError, Reason, Stop, completed, skipped};
use aftercommit_domain::time::{minutes, seconds};
use aftercommit_runtime::relay::RelayOptions;
use aftercommit_runtime::{EngineOptions, Roles};
use aftercommit_testkit::faults::{Fault, Operation};
use metrics::set_default_local_recorder;
use tokio::time::sleep;

use crate::support::contracts::{Deliver, deliver, deliveries, parcel_sent};
use crate::support::handlers::Handler;
use crate::support::metrics::CountedMetrics;
use crate::support::rig::Rig;

fn failed(class: ErrorClass) -> Stop {
    Stop::Failed {
        failure: Failure::new("x", class, "no"),
        retry_after: None,
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_counted_once_by_what_came_of_it_and_none_stays_running() {
    let metrics = CountedMetrics::default();
    let _guard = set_default_local_recorder(&metrics);
    let rig = Rig::new();
    let handler = Handler(async |task: Deliver, ctx: aftercommit_domain::tasks::TaskContext| {
        match (task.parcel_id, ctx.attempt()) {
            (1, _) | (6, 3) => completed(),
            (2, _) => skipped("gone"),
            (3, _) => Ok(Outcome::Cancelled(Reason::new("no"))),
            (4, _) => Err(failed(ErrorClass::Permanent)),
            (5, _) => Ok(Outcome::Snoozed(minutes(600))),
            (6, _) => Err(failed(ErrorClass::Retryable)),
            _ => panic!("dropped it"),
        }
    });
    rig.store.script(Operation::Ack, [Fault::Panic]);
    let engine = rig.start_workers(vec![deliveries(handler)]);
    for parcel in 1..=6 {
        rig.enqueue(&deliver(parcel)).await;
    }
    rig.store
        .inner()
        .publish_raw(&"deliveries".parse().unwrap(), b"not a task");
    sleep(minutes(5)).await;
    let counted = metrics.counters();
    let expected = [
        ("aftercommit_tasks_total deliveries deliver cancelled", 1),
        // The first ack panicked, so that task ran again.
        ("aftercommit_tasks_total deliveries deliver completed", 3),
        ("aftercommit_tasks_total deliveries deliver dead", 1),
        ("aftercommit_tasks_total deliveries deliver retried", 2),
        ("aftercommit_tasks_total deliveries deliver skipped", 1),
        ("aftercommit_tasks_total deliveries deliver snoozed", 1),
        ("aftercommit_tasks_total deliveries unknown dead", 1),
    ];
    assert_eq!(
        counted
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .filter(|(name, _)| name.starts_with("aftercommit_tasks_total"))
            .collect::<Vec<_>>(),
        expected
    );
    assert!(metrics.gauge("aftercommit_tasks_running deliveries").abs() < 0.5);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_relay_counts_what_was_published_failed_quarantined_and_lost_to_another() {
    let metrics = CountedMetrics::default();
    let _guard = set_default_local_recorder(&metrics);
    let rig = Rig::new();
    let bad = rig.commit_event(&parcel_sent(1, 1)).await;
    let late = rig.commit_event(&parcel_sent(2, 1)).await;
    rig.commit_event(&parcel_sent(3, 1)).await;
    rig.store.refuse(move |task| match task.id {
        id if id == bad => Some(PublishError::Invalid {
            code: "x",
            reason: "bad".into(),
        }),
        id if id == late => Some(PublishError::Unroutable {
            topic: task.topic.clone(),
        }),
        _ => None,
    });
    let relay = rig.relay(RelayOptions::default());
    assert_eq!(relay.relay_batch().await, Ok(3));
    let counters = || {
        ["published", "failed", "quarantined", "stale"]
            .map(|what| metrics.counter(&format!("aftercommit_relay_{what}_total")))
    };
    assert_eq!(counters(), [1, 1, 1, 0]);
    rig.store.refuse_none();
    sleep(seconds(1)).await;
    // Marked when the lease is long over and the row another's.
    rig.store.script(Operation::MarkPublished, [Fault::Delay(seconds(60))]);
    let (first, second) = tokio::join!(relay.relay_batch(), async {
        sleep(seconds(31)).await;
        relay.relay_batch().await
    });
    assert_eq!((first, second), (Ok(1), Ok(1)));
    assert_eq!(counters(), [2, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn settlements_that_did_not_happen_and_what_was_rescued_are_counted() {
    let metrics = CountedMetrics::default();
    let _guard = set_default_local_recorder(&metrics);
    let rig = Rig::new();
    rig.store.script(Operation::Ack, [Fault::Fail]);
    rig.store.always(Operation::Next, Fault::Hang);
    rig.store.script(Operation::Next, [Fault::Pass]);
    let roles = Roles {
        relay: false,
        dispatcher: false,
        ..Roles::default()
    };
    let options = EngineOptions {
        roles,
        ..EngineOptions::default()
    };
    let handler = Handler(async |_: Deliver, _| completed());
    let engine = rig.start(options, vec![deliveries(handler)]);
    rig.enqueue(&deliver(1)).await;
    sleep(minutes(1)).await;
    assert_eq!(metrics.counter("aftercommit_settle_failures_total deliveries"), 1);
    assert_eq!(metrics.counter("aftercommit_rescued_total tasks"), 1);
    assert_eq!(metrics.counter("aftercommit_rescued_total outbox"), 0);
    engine.stop().await;
}
