//! How tasks of a broker's queue ended, where a provider records it.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Cause, TaskEnvelope, Tenant};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{EndedTask, Outcome, Reason, TaskDetails, TaskFilter, TaskHistory, TaskState};
use aftercommit_domain::time::{Clock, hours, seconds};
use tokio::task::JoinSet;

use crate::conformance::messages::TOPIC;
use crate::conformance::support::{ok, soon};
use crate::conformance::{Messages, Provider};

/// The scenarios of a history: `task_history_conformance!(Provider)`, for a provider that keeps one for other queues.
#[macro_export]
macro_rules! task_history_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            task_history,
            [
                a_recorded_ending_is_found_with_all_that_is_known_of_it,
                a_task_that_ended_twice_is_found_as_it_ended_last,
                recorded_endings_are_forgotten_when_they_are_old,
                every_ending_is_kept_and_a_success_as_it_is_configured,
                concurrent_recorders_lose_nothing,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 5;

fn history<P: Provider>(provider: &P) -> Arc<dyn TaskHistory> {
    provider.task_history().expect("a provider that keeps a history")
}

fn ended(task: TaskEnvelope, outcome: Outcome) -> EndedTask {
    EndedTask {
        id: task.id,
        topic: task.topic,
        task: task.task,
        tenant: task.tenant,
        attempts: 1,
        outcome,
        enqueued_at: task.first_enqueued_at,
        cause: task.cause,
    }
}

fn gone() -> Outcome {
    Outcome::Skipped(Reason::new("invitation is gone"))
}

async fn record<P: Provider>(provider: &P, endings: Vec<EndedTask>) {
    ok("endings to be recorded", history(provider).record(endings)).await;
}

async fn find<P: Provider>(provider: &P, id: MessageId) -> Option<TaskDetails> {
    ok("the task to be looked up", provider.task_inspector().find(id)).await
}

/// A recorded ending is found with its outcome, reason, attempts, tenant, times and cause; there is no payload to show.
pub async fn a_recorded_ending_is_found_with_all_that_is_known_of_it<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let cause = Cause::root().of_message(messages.task().id);
    let skipped = EndedTask {
        attempts: 3,
        cause: cause.clone(),
        ..ended(messages.task(), gone())
    };
    let of_system = Messages::of(provider.services(), Tenant::System).task();
    let cancelled = ended(of_system, Outcome::Cancelled(Reason::new("stop it")));
    let completed = ended(messages.task(), Outcome::Completed);
    provider.advance(seconds(5)).await;
    let now = provider.services().clock.now();
    record(provider, vec![skipped.clone(), cancelled.clone(), completed.clone()]).await;
    let reasons = [Some("invitation is gone"), Some("stop it"), None];
    let states = [TaskState::Skipped, TaskState::Cancelled, TaskState::Completed];
    for ((task, reason), state) in [&skipped, &cancelled, &completed].into_iter().zip(reasons).zip(states) {
        let found = find(provider, task.id).await.expect("its ending is recorded");
        let summary = found.summary;
        assert_eq!((summary.id, &summary.topic, summary.state), (task.id, &TOPIC, state));
        assert_eq!(summary.task, task.task.as_str());
        assert_eq!(summary.organization_id.as_ref(), task.tenant.organization_id());
        assert_eq!(summary.project_id.as_ref(), task.tenant.project_id());
        assert_eq!((summary.attempts, summary.reason.as_deref()), (task.attempts, reason));
        assert_eq!((summary.enqueued_at, summary.due_at), (task.enqueued_at, None));
        assert_eq!(summary.finished_at, Some(now));
        let correlation = task.cause.correlation.as_ref().map(ToString::to_string);
        assert_eq!(
            (found.correlation_id, found.causation_id),
            (correlation, task.cause.causation)
        );
        assert!(found.payload.is_none() && found.code.is_none());
    }
    let filter = TaskFilter {
        state: Some(TaskState::Skipped),
        ..TaskFilter::default()
    };
    let listed = ok("tasks to be listed", provider.task_inspector().list(&filter)).await;
    assert_eq!(listed.iter().map(|task| task.id).collect::<Vec<_>>(), [skipped.id]);
}

/// A task that ended twice, because it came twice, is found as it ended last, and listed once.
pub async fn a_task_that_ended_twice_is_found_as_it_ended_last<P: Provider>(provider: &P) {
    let task = Messages::new(provider.services()).task();
    record(provider, vec![ended(task.clone(), Outcome::Completed)]).await;
    provider.advance(seconds(5)).await;
    record(provider, vec![ended(task.clone(), gone())]).await;
    let found = find(provider, task.id).await.expect("its ending is recorded");
    assert_eq!(found.summary.state, TaskState::Skipped);
    let listed = ok(
        "tasks to be listed",
        provider.task_inspector().list(&TaskFilter::default()),
    )
    .await;
    let listed: Vec<_> = listed.iter().map(|task| (task.id, task.state)).collect();
    assert_eq!(listed, [(task.id, TaskState::Skipped)]);
}

/// Recorded endings are forgotten with all others when they are old; younger ones stay.
pub async fn recorded_endings_are_forgotten_when_they_are_old<P: Provider>(provider: &P) {
    let (messages, maintenance) = (Messages::new(provider.services()), provider.queue_maintenance());
    let mut ids = Vec::new();
    for _ in 0..3 {
        let task = ended(messages.task(), gone());
        ids.push(task.id);
        record(provider, vec![task]).await;
        provider.advance(hours(1)).await;
    }
    // The last hour's only.
    let before = provider.services().clock.now() - chrono::Duration::minutes(90);
    let forgotten = ok("endings to be forgotten", maintenance.prune_outcomes(before, 10)).await;
    assert_eq!(forgotten, 2);
    for (place, id) in ids.into_iter().enumerate() {
        assert_eq!(find(provider, id).await.is_some(), place == 2, "task {place}");
    }
}

/// Whatever ended without success is to be recorded; a success where it is configured so.
pub async fn every_ending_is_kept_and_a_success_as_it_is_configured<P: Provider>(provider: &P) {
    let history = history(provider);
    for _ in 0..50 {
        assert_eq!(history.keeps(&Outcome::Completed), P::RECORDS_SUCCESSES);
        assert!(history.keeps(&gone()));
        assert!(history.keeps(&Outcome::Cancelled(Reason::new("stop it"))));
        assert!(
            !history.keeps(&Outcome::Snoozed(Duration::from_secs(1))),
            "it is no end"
        );
    }
    // None of them kept, so there is nothing to record.
    record(provider, Vec::new()).await;
}

/// What many record at once is all recorded.
pub async fn concurrent_recorders_lose_nothing<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let mut recorders = JoinSet::new();
    let mut ids = Vec::new();
    for _ in 0..8 {
        let endings: Vec<EndedTask> = messages.tasks(10).into_iter().map(|task| ended(task, gone())).collect();
        ids.extend(endings.iter().map(|task| task.id));
        let history = history(provider);
        recorders.spawn(async move { ok("endings to be recorded", history.record(endings)).await });
    }
    soon("all of them to be recorded", recorders.join_all()).await;
    for id in ids {
        assert!(find(provider, id).await.is_some(), "{id}");
    }
}
