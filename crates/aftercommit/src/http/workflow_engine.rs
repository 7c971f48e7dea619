//! How the workflow engine fares, as readiness and explanations tell of it.

use std::time::Duration;

use aftercommit_domain::tasks::{TaskDetails, TaskState, TopicDepth};
use aftercommit_domain::workflows::WORKFLOW_REQUESTS_TOPIC;
use tokio::time::timeout;

use crate::kit::Operations;
use crate::workflows::GET_A_SERVER;

/// The longest an engine may take to answer before it counts as away.
const ENGINE_DEADLINE: Duration = Duration::from_secs(2);

/// Why workflows are not started now, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum WorkflowEngineTrouble {
    /// Nothing is known to be wrong.
    #[default]
    None,
    /// This process has no engine.
    Missing,
    /// It does not answer.
    Away(String),
}

impl WorkflowEngineTrouble {
    /// Asks the engine. A process that neither has one nor knows a workflow misses none.
    pub(crate) async fn look(operations: &Operations) -> Self {
        match &operations.kit.inner.workflow_engine {
            None if operations.workflows.is_empty() => Self::None,
            None => Self::Missing,
            Some(engine) => match timeout(ENGINE_DEADLINE, engine.check()).await {
                Ok(Ok(())) => Self::None,
                Ok(Err(reason)) => Self::Away(reason),
                Err(_) => Self::Away(format!("no answer within {} s", ENGINE_DEADLINE.as_secs())),
            },
        }
    }

    /// What it is, and what to do about it.
    pub(crate) fn described(&self, waiting: u64) -> Option<(String, String)> {
        match self {
            Self::None => None,
            Self::Missing => Some((
                format!("workflows: no engine runs them; {waiting} requests wait for one"),
                GET_A_SERVER.to_owned(),
            )),
            Self::Away(reason) => Some((
                format!("workflows: {reason}; {waiting} requests wait"),
                "see that it runs and can be reached, by `aftercommit doctor`; requests to workflows wait meanwhile"
                    .into(),
            )),
        }
    }
}

/// How many requests to workflows wait.
pub(crate) fn waiting_requests(topics: &[TopicDepth]) -> u64 {
    let requests = topics.iter().filter(|depth| depth.topic == WORKFLOW_REQUESTS_TOPIC);
    requests.map(|depth| depth.available + depth.scheduled).sum()
}

/// What is to be said beside of a request that waits for the engine.
pub(crate) async fn explained(operations: &Operations, task: &TaskDetails) -> Option<String> {
    let waits = match task.summary.state {
        TaskState::Scheduled | TaskState::Available | TaskState::Running | TaskState::Retryable => true,
        TaskState::Paused | TaskState::Completed | TaskState::Skipped | TaskState::Cancelled | TaskState::Dead => false,
    };
    if !waits || task.summary.topic != WORKFLOW_REQUESTS_TOPIC {
        return None;
    }
    if operations.kit.inner.workflow_engine.is_none() {
        return Some(format!(
            "It asks for a workflow, and this process has no workflow engine: {GET_A_SERVER}."
        ));
    }
    match WorkflowEngineTrouble::look(operations).await {
        WorkflowEngineTrouble::Away(reason) => Some(format!(
            "The workflow engine is away: {reason}. It is asked again, and no attempt is counted."
        )),
        WorkflowEngineTrouble::None | WorkflowEngineTrouble::Missing => None,
    }
}
