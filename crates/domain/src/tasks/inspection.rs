//! Looking at tasks: what a person asks about them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::{Json, OrganizationId, ProjectId, TopicName};
use crate::failure::{Classified, ErrorClass};
use crate::ids::MessageId;
use crate::time::Timestamp;

/// Answers questions about tasks. What it shows may be a moment old; nothing decides by it. A queue that does not show each
/// task ([`QueueCapabilities::shows_each_task`](super::QueueCapabilities)) lists and finds those that ended or died.
#[async_trait]
pub trait TaskInspector: Send + Sync {
    /// Lists tasks, newest first.
    async fn list(&self, filter: &TaskFilter) -> Result<Vec<TaskSummary>, InspectionError>;

    /// One task, wherever it is. `Ok(None)` when no trace of it is kept.
    async fn find(&self, id: MessageId) -> Result<Option<TaskDetails>, InspectionError>;

    /// How many tasks each topic holds.
    async fn depths(&self) -> Result<Vec<TopicDepth>, InspectionError>;
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker, or behind an earlier task of its order key.
    Available,
    /// A worker has it.
    Running,
    /// Failed and waits for its next attempt.
    Retryable,
    /// Set aside, because a pause holds it.
    Paused,
    /// Done.
    Completed,
    /// Ended without doing anything, with its reason.
    Skipped,
    /// Must not run any more.
    Cancelled,
    /// Given up; a dead letter.
    Dead,
}

/// Which tasks to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFilter {
    /// Only of this topic.
    pub topic: Option<TopicName>,
    /// Only in this state.
    pub state: Option<TaskState>,
    /// Only of this organization.
    pub organization_id: Option<OrganizationId>,
    /// At most this many; stores cap it at 1000. Defaults to 50.
    pub limit: Option<u32>,
}

/// A task in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSummary {
    /// Its id.
    pub id: MessageId,
    /// Its topic.
    pub topic: TopicName,
    /// Its name; empty when its bytes cannot be read.
    pub task: String,
    /// Whose it is.
    pub organization_id: Option<OrganizationId>,
    /// Whose it is.
    pub project_id: Option<ProjectId>,
    /// Where it is.
    pub state: TaskState,
    /// Counted attempts so far, the running one included.
    pub attempts: u32,
    /// When it was first enqueued.
    pub enqueued_at: Timestamp,
    /// When it may run; for those that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// When it ended; for those that did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// The reason of its outcome, or its last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Everything that is kept of a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskDetails {
    /// What a list shows.
    #[serde(flatten)]
    pub summary: TaskSummary,
    /// The stable code of its last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The tasks and events it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// What caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<MessageId>,
    /// Its payload as it is stored, with sealed values sealed; `None` once the task has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
    /// What it waits for, besides its time and a worker.
    #[serde(flatten)]
    pub place: TaskPlace,
}

/// What an unfinished task waits for, besides its time and a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskPlace {
    /// The oldest unfinished task of its order key, when that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<MessageId>,
    /// Under what it is coalesced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<TaskWindow>,
}

/// The coalescing key of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskWindow {
    /// The key it was published with.
    pub key: String,
    /// Whether a further publish may take its place.
    pub is_open: bool,
}

impl TaskWindow {
    /// From the scope that a store keeps, whose last part is the key.
    pub fn of_scope(scope: &str, is_open: bool) -> Self {
        let key = scope.rsplit('\u{1f}').next().unwrap_or(scope).to_owned();
        Self { key, is_open }
    }
}

/// How many tasks a topic holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicDepth {
    /// The topic.
    pub topic: TopicName,
    /// Waiting for a worker.
    pub available: u64,
    /// Waiting for their time.
    pub scheduled: u64,
    /// Being run.
    pub running: u64,
    /// Set aside, because a pause holds them.
    #[serde(default)]
    pub paused: u64,
    /// How many take from it, in any process; `None` where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<u64>,
}

/// The question could not be answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InspectionError {
    /// The store is away or too slow.
    #[error("the store is unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
}

impl Classified for InspectionError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Outage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "store.unavailable",
        }
    }
}
