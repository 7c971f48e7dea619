//! How the tasks of a broker's queue ended.

use aftercommit_domain::tasks::{EndedTask, HistoryError, Outcome, TaskHistory, TaskState, TaskSummary};
use async_trait::async_trait;

use super::InMemory;
use super::tasks::Ended;

#[async_trait]
impl TaskHistory for InMemory {
    /// All of them, as of its own tasks.
    fn keeps(&self, _: &Outcome) -> bool {
        true
    }

    async fn record(&self, ended: Vec<EndedTask>) -> Result<(), HistoryError> {
        let now = self.now();
        let mut state = self.lock();
        for task in ended {
            let (of_outcome, reason) = match task.outcome {
                Outcome::Completed => (TaskState::Completed, None),
                Outcome::Skipped(reason) => (TaskState::Skipped, Some(reason.as_str().to_owned())),
                Outcome::Cancelled(reason) => (TaskState::Cancelled, Some(reason.as_str().to_owned())),
                // No end at all.
                Outcome::Snoozed(_) => continue,
            };
            state.tasks.forget(task.id);
            state.tasks.record(Ended {
                summary: TaskSummary {
                    id: task.id,
                    topic: task.topic,
                    task: task.task.as_str().to_owned(),
                    organization_id: task.tenant.organization_id().cloned(),
                    project_id: task.tenant.project_id().cloned(),
                    state: of_outcome,
                    attempts: task.attempts,
                    enqueued_at: task.enqueued_at,
                    due_at: None,
                    finished_at: Some(now),
                    reason,
                },
                code: None,
                envelope: None,
            });
        }
        Ok(())
    }
}
