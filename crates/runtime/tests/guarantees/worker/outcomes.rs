//! What a handler returns, and what becomes of its task.

use std::time::Duration;

use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{Outcome, Reason, Stop, TaskContext, TaskDetails, TaskResult, TaskState, skipped};
use aftercommit_domain::time::Timestamp;

use crate::support::contracts::{Deliver, deliver, deliveries};
use crate::support::handlers::{Completes, Handler, Seen};
use crate::support::rig::Rig;

/// Enqueues one task for a handler that does `act`, and answers its details once it is in `state`.
async fn end_of<Fut>(
    rig: &Rig,
    state: TaskState,
    act: impl Fn(TaskContext) -> Fut + Send + Sync + 'static,
) -> TaskDetails
where
    Fut: Future<Output = TaskResult> + Send + 'static,
{
    let engine = rig.start_workers(vec![deliveries(Handler(move |_: Deliver, ctx| act(ctx)))]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, state).await;
    engine.stop().await;
    rig.details(id).await
}

fn failed(class: ErrorClass, retry_after: Option<Duration>) -> TaskResult {
    Err(Stop::Failed {
        failure: Failure::new("depot.closed", class, "the depot is closed"),
        retry_after,
    })
}

#[tokio::test(start_paused = true)]
async fn a_completed_task_is_completed_after_one_attempt() {
    let rig = Rig::new();
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Completed).await;
    let summary = rig.details(id).await.summary;
    assert_eq!((summary.attempts, summary.reason), (1, None));
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_state_is_gone_is_skipped_with_its_reason() {
    let rig = Rig::new();
    let details = end_of(&rig, TaskState::Skipped, async |ctx: TaskContext| {
        let parcel: u32 = ctx.found(None, "the parcel is gone")?;
        panic!("there is no parcel {parcel}")
    })
    .await;
    assert_eq!(details.summary.reason.as_deref(), Some("the parcel is gone"));
    let rig = Rig::new();
    let details = end_of(&rig, TaskState::Skipped, async |_| skipped("already delivered")).await;
    assert_eq!(details.summary.reason.as_deref(), Some("already delivered"));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_is_cancelled_with_its_reason() {
    let rig = Rig::new();
    let details = end_of(&rig, TaskState::Cancelled, async |_| {
        Ok(Outcome::Cancelled(Reason::new("the sender took it back")))
    })
    .await;
    assert_eq!(details.summary.reason.as_deref(), Some("the sender took it back"));
}

#[tokio::test(start_paused = true)]
async fn a_snoozed_task_runs_again_after_its_time_and_a_snooze_is_no_attempt() {
    let rig = Rig::new();
    let runs: Seen<(Timestamp, u32)> = Seen::nothing();
    let noted = runs.clone();
    end_of(&rig, TaskState::Completed, move |ctx| {
        noted.add((ctx.now(), ctx.attempt()));
        let snoozes = noted.count() < 6;
        async move {
            if snoozes {
                Ok(Outcome::Snoozed(Duration::from_mins(7)))
            } else {
                Ok(Outcome::Completed)
            }
        }
    })
    .await;
    let runs = runs.all();
    assert_eq!(runs.len(), 6, "more often than it may be attempted");
    assert!(runs.iter().all(|(_, attempt)| *attempt == 1));
    for pair in runs.windows(2) {
        let wait = pair[1].0 - pair[0].0;
        assert!(
            wait >= chrono::Duration::minutes(7) && wait < chrono::Duration::minutes(8),
            "{wait}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_task_is_retried_with_growing_delays_and_dead_after_its_last_attempt() {
    let rig = Rig::new();
    let runs: Seen<(Timestamp, u32)> = Seen::nothing();
    let noted = runs.clone();
    let details = end_of(&rig, TaskState::Dead, move |ctx| {
        noted.add((ctx.now(), ctx.attempt()));
        async { failed(ErrorClass::Retryable, None) }
    })
    .await;
    let runs = runs.all();
    assert_eq!(runs.iter().map(|(_, attempt)| *attempt).collect::<Vec<_>>(), [1, 2, 3]);
    let (first, second) = (runs[1].0 - runs[0].0, runs[2].0 - runs[1].0);
    assert!(
        first >= chrono::Duration::seconds(1) && first <= chrono::Duration::seconds(3),
        "{first}"
    );
    assert!(
        second > first && second <= chrono::Duration::seconds(5),
        "{first}, {second}"
    );
    assert_eq!(
        (details.summary.attempts, details.code.as_deref()),
        (3, Some("depot.closed"))
    );
    let letter = rig.dead_letter(details.summary.id).await;
    assert_eq!(
        (letter.attempts, letter.failure.message.as_str()),
        (3, "the depot is closed")
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_failed_for_good_is_dead_at_once() {
    let rig = Rig::new();
    let details = end_of(&rig, TaskState::Dead, async |_| failed(ErrorClass::Permanent, None)).await;
    assert_eq!(details.summary.attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn outages_and_rate_limits_count_as_no_attempt_and_a_given_time_is_kept() {
    for class in [ErrorClass::Outage, ErrorClass::RateLimited] {
        let rig = Rig::new();
        let runs: Seen<(Timestamp, u32)> = Seen::nothing();
        let noted = runs.clone();
        end_of(&rig, TaskState::Completed, move |ctx| {
            noted.add((ctx.now(), ctx.attempt()));
            let is_away = noted.count() < 10;
            async move {
                if is_away {
                    failed(class, Some(Duration::from_secs(90)))
                } else {
                    Ok(Outcome::Completed)
                }
            }
        })
        .await;
        let runs = runs.all();
        assert_eq!(runs.len(), 10, "more often than it may be attempted");
        assert!(runs.iter().all(|(_, attempt)| *attempt == 1));
        assert!(
            runs.windows(2)
                .all(|pair| pair[1].0 - pair[0].0 >= chrono::Duration::seconds(90))
        );
    }
}
