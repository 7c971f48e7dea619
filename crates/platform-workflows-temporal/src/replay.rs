//! Recorded histories, and whether a build still takes the way of one.

use std::sync::Arc;

use aftercommit_domain::workflows::{WorkflowId, WorkflowQueryError, WorkflowRegistry};
use temporalio_client::grpc::WorkflowService;
use temporalio_client::{Client, WorkflowHistory};
use temporalio_common::protos::temporal::api::history::v1::History;
use temporalio_common::protos::temporal::api::workflowservice::v1::GetWorkflowExecutionHistoryRequest;
use temporalio_sdk::workflow_replayer::{
    WorkflowReplayError, WorkflowReplayFailure, WorkflowReplayer, WorkflowReplayerOptions,
};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::Temporal;
use crate::call::Refusal;
use crate::querier::error;
use crate::starter::newest_run;
use crate::worker::hosted::{HostedWorkflow, register_as};

/// How many events are asked for at once, and how often: more than a server lets a history have.
const PAGE: i32 = 1000;
const PAGES: usize = 100;

/// A build cannot take the way that a history records.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The text is no history, or not a whole one.
    #[error("the history cannot be read: {0}")]
    Unreadable(String),
    /// The code asks for other steps than were recorded.
    #[error("the build takes another way than the history: {0}")]
    OtherWay(String),
    /// The code comes to a place where it cannot go on, or nobody has registered it.
    #[error("the build cannot go on where the history did: {0}")]
    Stuck(String),
    /// The SDK could not replay anything.
    #[error("the history could not be replayed: {0}")]
    NotReplayed(String),
}

impl Temporal {
    /// The history of a workflow's newest run, as JSON, to be kept as a file and [replayed](replay) by later builds. It holds
    /// what the workflow and its steps were given and answered.
    ///
    /// # Errors
    /// There is no such workflow; the server is away.
    pub async fn recorded_history(&self, id: &WorkflowId) -> Result<String, WorkflowQueryError> {
        let failed = |refusal| error("history", refusal);
        let (mut events, mut token) = (Vec::new(), Vec::new());
        for _ in 0..PAGES {
            let request = GetWorkflowExecutionHistoryRequest {
                namespace: self.config().namespace.clone(),
                execution: Some(newest_run(id)),
                maximum_page_size: PAGE,
                next_page_token: token,
                ..GetWorkflowExecutionHistoryRequest::default()
            };
            let method = <Client as WorkflowService>::get_workflow_execution_history;
            let page = self.connection.call(method, request).await.map_err(failed)?;
            events.extend(page.history.unwrap_or_default().events);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let written = WorkflowHistory::from(History { events }).to_json().await;
        let written = written.map_err(|error| error.to_string());
        let text = written.and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
        text.map_err(|reason| failed(Refusal::Failed(reason)))
    }
}

/// Runs the code of a registry along a history that [`Temporal::recorded_history`] recorded. `Ok`: the build takes up the
/// runs that went this way. Needs no server, and runs no activity: those of the registry may be left out. Called within a
/// Tokio runtime.
///
/// # Errors
/// The build does not take this way, and would leave such runs stuck.
pub async fn replay(registry: WorkflowRegistry, history: &str) -> Result<(), ReplayError> {
    let history =
        WorkflowHistory::from_json(history.as_bytes()).map_err(|error| ReplayError::Unreadable(error.to_string()))?;
    let replayer = WorkflowReplayer::new(options(registry)?).map_err(ReplayError::from)?;
    let runtime = Handle::current();
    // What the SDK replays is bound to the thread it runs on.
    let replayed = spawn_blocking(move || runtime.block_on(replayer.replay_workflow(history)));
    match replayed.await {
        Ok(replayed) => replayed.map_err(ReplayError::from),
        Err(panic) => Err(ReplayError::NotReplayed(panic.to_string())),
    }
}

fn options(registry: WorkflowRegistry) -> Result<WorkflowReplayerOptions, ReplayError> {
    let registry = Arc::new(registry);
    // As a worker has it.
    let mut options = WorkflowReplayerOptions::new()
        .detect_nondeterministic_futures(false)
        .build();
    for name in registry.workflow_names() {
        register_as(name.as_str());
        let registry = Arc::clone(&registry);
        options
            .register_workflow_with_factory::<HostedWorkflow, _>(move || {
                HostedWorkflow::new(Some(Arc::clone(&registry)))
            })
            .map_err(|error| ReplayError::NotReplayed(error.to_string()))?;
    }
    Ok(options)
}

impl From<WorkflowReplayError> for ReplayError {
    fn from(error: WorkflowReplayError) -> Self {
        match error {
            WorkflowReplayError::Replay(WorkflowReplayFailure::InvalidHistory { message }) => Self::Unreadable(message),
            WorkflowReplayError::Replay(WorkflowReplayFailure::Nondeterminism { message }) => Self::OtherWay(message),
            WorkflowReplayError::Replay(WorkflowReplayFailure::WorkflowTaskFailure { message }) => Self::Stuck(message),
            other => Self::NotReplayed(other.to_string()),
        }
    }
}
