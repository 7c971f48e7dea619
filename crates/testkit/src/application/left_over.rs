//! What is not over, in words.

use std::fmt;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::events::OutboxMessage;
use aftercommit_domain::tasks::{TaskFilter, TaskState, TaskSummary};

use crate::application::TestApplication;

/// An application did not come to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StillBusy {
    /// Why it was given up.
    pub reason: String,
    /// What is not over, one line each.
    pub waiting: Vec<String>,
}

impl StillBusy {
    pub(super) fn of(application: &TestApplication, reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            waiting: LeftOver::of(application).0,
        }
    }
}

impl fmt::Display for StillBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the application does not come to rest: {}; not over:", self.reason)?;
        self.waiting.iter().try_for_each(|line| write!(f, "\n- {line}"))
    }
}

impl std::error::Error for StillBusy {}

/// What is not over, one line each.
pub(super) struct LeftOver(Vec<String>);

impl LeftOver {
    pub(super) fn of(application: &TestApplication) -> Self {
        let kit = application.kit();
        let limits = kit.envelopes().codec().limits();
        let mut lines = Vec::new();
        for row in kit.store().unpublished() {
            let what = OutboxMessage::from_raw(&row.message, limits).map_or_else(
                |error| format!("unreadable message ({error})"),
                |message| message.describe(),
            );
            lines.push(match row.quarantined {
                Some(why) => format!("{what} is quarantined in the outbox: {why}"),
                None => format!("{what} waits in the outbox"),
            });
        }
        let unfinished = TaskFilter {
            limit: Some(1000),
            ..TaskFilter::default()
        };
        let tasks = application.tasks(&unfinished);
        let now = kit.now();
        lines.extend(tasks.iter().filter_map(|task| {
            let (what, id) = (name(task), task.id);
            let reason = task
                .reason
                .as_deref()
                .map_or_else(String::new, |why| format!(": {why}"));
            let due = task.due_at.map_or_else(chrono::Duration::zero, |due| due - now);
            let due = due.to_std().unwrap_or_default();
            Some(match task.state {
                TaskState::Available if !has_worker(application, &task.topic) => {
                    format!("task {what} {id} waits, and nothing here runs its topic")
                }
                TaskState::Available => format!("task {what} {id} waits to be run"),
                TaskState::Running => format!("task {what} {id} runs"),
                TaskState::Scheduled => format!("task {what} {id} is to be run in {due:?}"),
                TaskState::Retryable => {
                    format!(
                        "task {what} {id} is tried again in {due:?}, after {} attempts{reason}",
                        task.attempts
                    )
                }
                TaskState::Paused => format!("task {what} {id} is held by a pause"),
                TaskState::Dead => format!("dead letter {what} {id} after {} attempts{reason}", task.attempts),
                TaskState::Completed | TaskState::Skipped | TaskState::Cancelled => return None,
            })
        }));
        Self(lines)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for LeftOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|line| format!("- {line}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

fn name(task: &TaskSummary) -> String {
    format!("{}/{}", task.topic, task.task)
}

fn has_worker(application: &TestApplication, topic: &TopicName) -> bool {
    let declared = application.declared();
    match &declared.started {
        Some(started) => started.topics.contains(topic),
        None => true,
    }
}
