//! What people ordered about tasks: workers keep to it within a second, and lose nothing by it.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{OrganizationId, TaskEnvelope};
use aftercommit_domain::events::{EventCatalogue, Routes};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    CancelOrder, Cancelled, NewPause, Outcome, Pause, PauseTarget, Reason, Retryable as _, TaskCancellations,
    TaskContext, TaskPauses, TaskState, Unseen, completed,
};
use aftercommit_domain::unit_of_work::StoreError;
use aftercommit_runtime::{Engine, EnginePorts};
use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use crate::support::contracts::{Deliver, deliver, deliveries};
use crate::support::handlers::{Completes, Handler, Seen};
use crate::support::rig::{Rig, workers};

/// Longer than it takes a worker to hear of an order.
const HEARD: Duration = Duration::from_secs(1);

async fn cancel(rig: &Rig, task: MessageId) -> Cancelled {
    let order = CancelOrder {
        task,
        actor: "ada".into(),
        reason: Reason::new("the customer left"),
    };
    rig.store.inner().cancel(&order, Unseen::IsUnknown).await.unwrap()
}

async fn pause(rig: &Rig, target: PauseTarget) {
    let pause = NewPause {
        target,
        reason: Reason::new("the provider is down"),
        actor: "ada".into(),
        until: None,
    };
    rig.store.inner().pause(&pause).await.unwrap();
}

async fn resume(rig: &Rig, target: &PauseTarget) {
    TaskPauses::resume(rig.store.inner(), target).await.unwrap().unwrap();
}

fn topic() -> PauseTarget {
    "topic:deliveries".parse().unwrap()
}

fn organization_of(task: &TaskEnvelope) -> OrganizationId {
    task.tenant.organization_id().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_running_task_that_is_cancelled_is_told_within_a_second_and_ends_as_cancelled() {
    let rig = Rig::new();
    let engine = rig.start_workers(vec![deliveries(Handler(|_: Deliver, ctx: TaskContext| async move {
        ctx.cancellation().cancelled().await;
        // Whatever it answers, except that it did its work.
        Err(std::io::Error::other("interrupted")).retryable()
    }))]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Running).await;
    let ordered = Instant::now();
    assert_eq!(cancel(&rig, id).await, Cancelled::Requested);
    rig.until_state(id, TaskState::Cancelled).await;
    assert!(ordered.elapsed() <= HEARD, "{:?}", ordered.elapsed());
    let reason = rig.details(id).await.summary.reason;
    assert_eq!(reason.as_deref(), Some("the customer left (by ada)"));
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_that_has_done_its_work_is_completed_and_one_that_snoozes_is_cancelled() {
    for (snoozes, expected) in [(false, TaskState::Completed), (true, TaskState::Cancelled)] {
        let rig = Rig::new();
        let engine = rig.start_workers(vec![deliveries(Handler(
            move |_: Deliver, ctx: TaskContext| async move {
                ctx.cancellation().cancelled().await;
                if snoozes {
                    Ok(Outcome::Snoozed(Duration::from_secs(1)))
                } else {
                    completed()
                }
            },
        ))]);
        let id = rig.enqueue(&deliver(1)).await;
        rig.until_state(id, TaskState::Running).await;
        cancel(&rig, id).await;
        rig.until_state(id, expected).await;
        engine.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_end_when_it_is_told_to_is_dropped_after_ten_seconds() {
    let rig = Rig::new();
    let handler = Handler(|_: Deliver, _: TaskContext| std::future::pending());
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Running).await;
    let ordered = Instant::now();
    cancel(&rig, id).await;
    rig.until_state(id, TaskState::Cancelled).await;
    let took = ordered.elapsed();
    let expected = Duration::from_secs(10)..Duration::from_secs(12);
    assert!(expected.contains(&took), "{took:?}");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_that_comes_from_elsewhere_is_not_run() {
    let rig = Rig::new();
    let (runs, task) = (Seen::nothing(), rig.task(&deliver(1)));
    let order = CancelOrder {
        task: task.id,
        actor: "ada".into(),
        reason: Reason::new("the customer left"),
    };
    let cancelled = rig.store.inner().cancel(&order, Unseen::MayBeElsewhere).await;
    assert_eq!(cancelled.unwrap(), Cancelled::Requested);
    let noted = runs.clone();
    let engine = rig.start_workers(vec![deliveries(Handler(move |_: Deliver, _: TaskContext| {
        noted.add(());
        async { completed() }
    }))]);
    sleep(HEARD).await;
    let id = rig.enqueue_envelope(task).await;
    rig.until_state(id, TaskState::Cancelled).await;
    assert_eq!(runs.count(), 0);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_tasks_failure_is_no_retry_that_comes_back_after_a_restart() {
    let rig = Rig::new();
    let handler = Handler(|_: Deliver, ctx: TaskContext| async move {
        ctx.cancellation().cancelled().await;
        Err(std::io::Error::other("interrupted")).retryable()
    });
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Running).await;
    cancel(&rig, id).await;
    // The stop tells the handler before the order does; whoever has the task next finds the order.
    engine.stop().await;
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    rig.until_state(id, TaskState::Cancelled).await;
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_topic_runs_nothing_within_a_second_also_after_a_restart_and_goes_on_when_it_is_resumed() {
    let rig = Rig::new();
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    pause(&rig, topic()).await;
    sleep(HEARD).await;
    let ids = [rig.enqueue(&deliver(1)).await, rig.enqueue(&deliver(2)).await];
    sleep(Duration::from_mins(10)).await;
    assert_eq!(rig.health.causes(), [""; 0], "a pause is no trouble");
    engine.stop().await;
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    sleep(Duration::from_mins(10)).await;
    for id in ids {
        assert_eq!(rig.state(id).await, TaskState::Available);
    }
    let resumed = Instant::now();
    resume(&rig, &topic()).await;
    for id in ids {
        rig.until_state(id, TaskState::Completed).await;
    }
    assert!(resumed.elapsed() <= HEARD, "{:?}", resumed.elapsed());
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_tenants_tasks_are_set_aside_without_counting_and_hold_nobody_up() {
    let rig = Rig::new();
    let (held, free) = (
        rig.task(&deliver(1)),
        rig.task(&Deliver {
            organization_id: OrganizationId::from(2_i64),
            ..deliver(2)
        }),
    );
    let target = PauseTarget::Organization(organization_of(&held));
    pause(&rig, target.clone()).await;
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let (held, free) = (rig.enqueue_envelope(held).await, rig.enqueue_envelope(free).await);
    rig.until_state(free, TaskState::Completed).await;
    rig.until_state(held, TaskState::Paused).await;
    sleep(Duration::from_mins(10)).await;
    let summary = rig.details(held).await.summary;
    assert_eq!((summary.state, summary.attempts), (TaskState::Paused, 0));
    resume(&rig, &target).await;
    rig.until_state(held, TaskState::Completed).await;
    assert_eq!(rig.details(held).await.summary.attempts, 1);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_runs_when_a_pause_begins_runs_to_its_end() {
    let rig = Rig::new();
    let engine = rig.start_workers(vec![deliveries(Handler(|_: Deliver, _: TaskContext| async {
        sleep(Duration::from_secs(30)).await;
        completed()
    }))]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Running).await;
    pause(&rig, topic()).await;
    rig.until_state(id, TaskState::Completed).await;
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_the_store_of_pauses_nothing_that_may_be_paused_is_run() {
    let rig = Rig::new();
    let ports = EnginePorts {
        pauses: Arc::new(Away),
        ..rig.ports()
    };
    let engine = Engine::new(
        ports,
        workers(),
        &EventCatalogue::new(),
        Routes::new(),
        vec![deliveries(Completes)],
    );
    let engine = engine.unwrap().start(&rig.health);
    let id = rig.enqueue(&deliver(1)).await;
    sleep(Duration::from_mins(1)).await;
    assert_eq!(rig.state(id).await, TaskState::Available);
    let causes = rig.health.causes();
    assert_eq!(
        causes,
        ["orders: store.unavailable: the store is unavailable (list pauses): away"]
    );
    engine.stop().await;
}

struct Away;

fn away<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable {
        operation: "list pauses",
        reason: "away".into(),
    })
}

#[async_trait]
impl TaskPauses for Away {
    async fn pause(&self, _: &NewPause) -> Result<Pause, StoreError> {
        away()
    }

    async fn resume(&self, _: &PauseTarget) -> Result<Option<Pause>, StoreError> {
        away()
    }

    async fn list(&self) -> Result<Vec<Pause>, StoreError> {
        away()
    }

    async fn release(&self, _: u32) -> Result<u64, StoreError> {
        away()
    }
}
