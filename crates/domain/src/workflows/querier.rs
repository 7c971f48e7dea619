//! Looking at workflows from outside.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::{RunId, Tenant, WorkflowName};
use crate::failure::{Classified, ErrorClass, Failure};
use crate::time::Timestamp;
use crate::workflows::{WaitingStep, WorkflowFailure, WorkflowId};

/// Looks at workflows.
///
/// **Contract**: answers what is so, or was a moment ago; `list` may be behind by seconds. Changes nothing. A closed workflow
/// is known as long as its engine keeps it.
#[async_trait]
pub trait WorkflowQuerier: Send + Sync {
    /// The newest run of a workflow; `None` when there is none.
    async fn describe(&self, id: &WorkflowId) -> Result<Option<WorkflowDescription>, WorkflowQueryError>;

    /// What the newest run has published last under `key`; `None` when it has not, or there is no such workflow.
    async fn query(&self, id: &WorkflowId, key: &str) -> Result<Option<Value>, WorkflowQueryError>;

    /// Workflows by their newest runs, the ones that were started last in front, a page at a time.
    async fn list(&self, filter: &WorkflowFilter) -> Result<WorkflowPage, WorkflowQueryError>;
}

/// What is known of a workflow's newest run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowDescription {
    /// In short.
    #[serde(flatten)]
    pub summary: WorkflowSummary,
    /// Which run of the workflow it is since it was started, from 1: one more for each time it continued as new. `None`
    /// where the engine does not count.
    pub attempt: Option<u32>,
    /// The steps it waits for, and since when; the one that was asked for first in front. Empty when it is closed.
    pub waiting: Vec<WaitingStep>,
    /// Why it cannot go on, if it cannot.
    pub problem: Option<Failure>,
    /// How it ended, if it did.
    pub end: Option<WorkflowEnd>,
}

/// A workflow's newest run in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowSummary {
    /// The workflow.
    pub id: WorkflowId,
    /// The run.
    pub run_id: RunId,
    /// How it stands.
    pub status: WorkflowStatus,
    /// When the run began.
    pub started_at: Timestamp,
    /// When the run closed; `None` while it is open.
    pub closed_at: Option<Timestamp>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkflowStatus {
    /// Open.
    Running,
    /// It answered.
    Completed,
    /// It failed.
    Failed,
    /// It was cancelled, and ended so.
    Cancelled,
    /// It was ended from outside.
    Terminated,
    /// Its engine ended it because its time was over.
    TimedOut,
    /// It goes on as a newer run.
    ContinuedAsNew,
}

/// How a run ended.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "end", content = "detail")]
pub enum WorkflowEnd {
    /// With this answer.
    Completed(Value),
    /// It failed.
    Failed(WorkflowFailure),
    /// It was cancelled.
    Cancelled,
    /// It was ended from outside.
    Terminated {
        /// Why.
        reason: String,
    },
    /// Its time was over.
    TimedOut,
}

impl fmt::Debug for WorkflowEnd {
    /// Without its answer, which does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed(_) => f.write_str("Completed(..)"),
            Self::Failed(failure) => f.debug_tuple("Failed").field(failure).finish(),
            Self::Cancelled => f.write_str("Cancelled"),
            Self::Terminated { reason } => f.debug_struct("Terminated").field("reason", reason).finish(),
            Self::TimedOut => f.write_str("TimedOut"),
        }
    }
}

impl WorkflowEnd {
    /// How a run that ended so stands.
    pub const fn status(&self) -> WorkflowStatus {
        match self {
            Self::Completed(_) => WorkflowStatus::Completed,
            Self::Failed(_) => WorkflowStatus::Failed,
            Self::Cancelled => WorkflowStatus::Cancelled,
            Self::Terminated { .. } => WorkflowStatus::Terminated,
            Self::TimedOut => WorkflowStatus::TimedOut,
        }
    }
}

/// Which workflows are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkflowFilter {
    /// Of this tenant only.
    pub tenant: Option<Tenant>,
    /// Of this name only.
    pub name: Option<WorkflowName>,
    /// That stand so only.
    pub status: Option<WorkflowStatus>,
    /// At most so many on a page. Defaults to 50; at most 1000.
    pub limit: Option<u32>,
    /// The page after the one that answered this.
    pub after: Option<String>,
}

/// A page of workflows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowPage {
    /// The workflows.
    pub workflows: Vec<WorkflowSummary>,
    /// What asks for the next page; `None` when this is the last.
    pub next: Option<String>,
}

/// The engine could not tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowQueryError {
    /// It will never tell: a filter or a page it does not know.
    #[error("the engine refused {operation}: {reason}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// What it said.
        reason: String,
    },
    /// It answered with an error of its own.
    #[error("the workflow engine failed ({operation}): {reason}")]
    EngineFailed {
        /// What was tried.
        operation: &'static str,
        /// What it said.
        reason: String,
    },
    /// It is away, overloaded or too slow, or no worker is there to answer.
    #[error("the workflow engine is unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What was seen.
        reason: String,
    },
}

impl Classified for WorkflowQueryError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Refused { .. } => ErrorClass::Permanent,
            Self::EngineFailed { .. } => ErrorClass::Retryable,
            Self::Unavailable { .. } => ErrorClass::Outage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "workflow.refused",
            Self::EngineFailed { .. } => "workflow.engine_failed",
            Self::Unavailable { .. } => "workflow.unavailable",
        }
    }
}
