//! Tasks that this build does not know, or not in their version: another process of a rolling deploy may.

use std::time::Duration;

use aftercommit_domain::contract::{OrganizationId, ProjectId, TaskEnvelope, TaskName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Patience, Task, TaskContext, TaskState, completed};
use aftercommit_runtime::worker::Topic;
use aftercommit_runtime::{EngineOptions, RunningEngine};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::support::contracts::{Deliver, deliver, deliveries};
use crate::support::handlers::{Completes, Handler, Seen};
use crate::support::rig::{Rig, workers};

/// A task of a known topic that no handler here runs.
fn of_another_name(rig: &Rig) -> TaskEnvelope {
    let mut task = rig.task(&deliver(1));
    task.task = TaskName::constant("juggle");
    task
}

fn of_a_newer_version(rig: &Rig) -> TaskEnvelope {
    let mut task = rig.task(&deliver(1));
    task.version = 2;
    task
}

fn start_with(rig: &Rig, whole: Duration) -> RunningEngine {
    let options = EngineOptions {
        unknown: Patience { whole },
        ..workers()
    };
    rig.start(options, vec![deliveries(Completes)])
}

/// The whole seconds from now until `task`, now put on its topic, is dead, and the dead letter's code and message.
async fn dies_after(rig: &Rig, task: TaskEnvelope) -> (u64, String, String) {
    let id = rig.enqueue_envelope(task).await;
    is_dead_after(rig, id).await
}

async fn is_dead_after(rig: &Rig, id: MessageId) -> (u64, String, String) {
    let begun = Instant::now();
    rig.until_state(id, TaskState::Dead).await;
    let letter = rig.dead_letter(id).await;
    assert_eq!(letter.attempts, 1, "waiting is no attempt");
    let failure = letter.failure;
    (begun.elapsed().as_secs(), failure.code.into_owned(), failure.message)
}

#[tokio::test(start_paused = true)]
async fn a_task_no_handler_here_knows_waits_for_a_deploys_time_and_is_dead_as_handler_unknown() {
    let rig = Rig::new();
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let (took, code, message) = dies_after(&rig, of_another_name(&rig)).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("handler.unknown", "nothing here knows task deliveries/juggle")
    );
    assert!((300..302).contains(&took), "{took} s");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_of_a_newer_version_waits_likewise_and_is_dead_as_version_unsupported_with_both_versions() {
    let rig = Rig::new();
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let (took, code, message) = dies_after(&rig, of_a_newer_version(&rig)).await;
    assert_eq!(code, "version.unsupported");
    assert_eq!(
        message,
        "deliveries/deliver version 2 cannot be read, this build knows version 1: it is newer than this build; deploy the \
         reader first"
    );
    assert!((300..302).contains(&took), "{took} s");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_none_is_dead_at_once() {
    let rig = Rig::new();
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let mut task = rig.task(&deliver(1));
    task.version = 0;
    let (took, code, _) = dies_after(&rig, task).await;
    assert_eq!((took, code.as_str()), (0, "version.unsupported"));
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn how_long_is_configured_and_zero_is_not_at_all() {
    let rig = Rig::new();
    for (whole, expected) in [(0, 0..1), (1, 1..2), (3600, 3600..3620)] {
        let engine = start_with(&rig, Duration::from_secs(whole));
        for task in [of_another_name(&rig), of_a_newer_version(&rig)] {
            let (took, ..) = dies_after(&rig, task).await;
            assert!(expected.contains(&took), "{took} s of {whole}");
        }
        engine.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_does_not_use_the_patience_up() {
    let rig = Rig::new();
    let task = rig.enqueue_envelope(of_another_name(&rig)).await;
    sleep(Duration::from_hours(2)).await;
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let (took, ..) = is_dead_after(&rig, task).await;
    assert!((300..302).contains(&took), "{took} s");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_build_that_knows_it_runs_it_as_its_first_attempt() {
    let rig = Rig::new();
    let old = rig.start_workers(vec![Topic::named("deliveries").handle::<Older>(Completes)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Retryable).await;
    sleep(Duration::from_mins(2)).await;
    assert_eq!(rig.state(id).await, TaskState::Retryable, "it waits");
    let attempts = Seen::nothing();
    let noted = attempts.clone();
    let handler = Handler(move |_: Deliver, ctx: TaskContext| {
        noted.add(ctx.attempt());
        async { completed() }
    });
    old.stop().await;
    let new = rig.start_workers(vec![deliveries(handler)]);
    rig.until_state(id, TaskState::Completed).await;
    assert_eq!(attempts.all(), [1]);
    new.stop().await;
}

/// A task of the same topic that an older build knew.
#[derive(Debug, Serialize, Deserialize, Task)]
#[task(topic = "deliveries", name = "weigh", version = 1)]
struct Older {
    organization_id: OrganizationId,
    project_id: ProjectId,
}
