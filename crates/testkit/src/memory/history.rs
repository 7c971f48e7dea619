//! How tasks of another queue ended.

use aftercommit_domain::tasks::{EndedTask, HistoryError, Outcome, TaskHistory, TaskState, TaskSummary};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use super::InMemory;
use super::tasks::Ended;

#[async_trait]
impl TaskHistory for InMemory {
    fn keeps(&self, outcome: &Outcome) -> bool {
        ending(outcome).is_some()
    }

    async fn record(&self, ended: Vec<EndedTask>) -> Result<(), HistoryError> {
        let now = self.now();
        let mut state = self.lock();
        for task in ended {
            if let Some(ended) = Ended::of(task, now) {
                state.tasks.record(ended);
            }
        }
        Ok(())
    }
}

impl Ended {
    /// `None` for a snooze, which ends nothing.
    fn of(ended: EndedTask, now: Timestamp) -> Option<Self> {
        let (state, reason) = ending(&ended.outcome)?;
        Some(Self {
            summary: TaskSummary {
                id: ended.id,
                topic: ended.topic,
                task: ended.task.to_string(),
                organization_id: ended.tenant.organization_id().cloned(),
                project_id: ended.tenant.project_id().cloned(),
                state,
                attempts: ended.attempts,
                enqueued_at: ended.enqueued_at,
                due_at: None,
                finished_at: Some(now),
                reason,
            },
            code: None,
            cause: Some(ended.cause),
        })
    }
}

/// What an outcome leaves in the history; nothing when it is no end.
fn ending(outcome: &Outcome) -> Option<(TaskState, Option<String>)> {
    match outcome {
        Outcome::Completed => Some((TaskState::Completed, None)),
        Outcome::Skipped(reason) => Some((TaskState::Skipped, Some(reason.to_string()))),
        Outcome::Cancelled(reason) => Some((TaskState::Cancelled, Some(reason.to_string()))),
        Outcome::Snoozed(_) => None,
    }
}
