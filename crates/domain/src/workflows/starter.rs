//! Starting workflows and telling them things, from outside.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::{
    Cause, Contract, EncodeError, EnvelopeFactory, InvalidName, Json, RunId, SignalName, WorkflowEnvelope, WorkflowKey,
};
use crate::failure::{Classified, ErrorClass};
use crate::ids::MessageId;
use crate::tasks::Reason;
use crate::workflows::{IdReuse, WorkflowId, WorkflowInput, WorkflowSignal};

/// Starts workflows and tells them things.
///
/// **Contract**: `Ok` means the engine has it durably; a process that ends loses nothing of it. Every request has an id.
/// The same request again changes nothing and answers the same, as long as the engine remembers the run it went to; so
/// whoever does not know whether a request arrived sends it again. But a signal that a closed run was told and whose answer was
/// lost may be told to a run that another request has started since, because closed runs are looked at only when none is open.
/// Called concurrently by any number of processes.
#[async_trait]
pub trait WorkflowStarter: Send + Sync {
    /// Starts a workflow. Answers its run.
    async fn start(&self, request: StartRequest) -> Result<RunId, WorkflowStartError>;

    /// Tells a running workflow something. Signals of one workflow arrive in the order in which they were answered.
    async fn signal(&self, request: SignalRequest) -> Result<(), WorkflowRequestError>;

    /// Starts a workflow unless one runs under the id, and tells it something: both or neither. Answers the run that was
    /// told. Refused only where `start` would be for another reason than a running one. The ids of both must be the same.
    async fn signal_with_start(&self, start: StartRequest, signal: SignalRequest) -> Result<RunId, WorkflowStartError>;

    /// Asks a running workflow to clean up and end. `Ok` means that it was asked.
    async fn cancel(&self, request: StopRequest) -> Result<(), WorkflowRequestError>;

    /// Ends a running workflow where it stands: its code is not asked. Its children are cancelled.
    async fn terminate(&self, request: StopRequest) -> Result<(), WorkflowRequestError>;
}

/// To start a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRequest {
    /// Which.
    pub id: WorkflowId,
    /// Whether its id may have been used before.
    pub reuse: IdReuse,
    /// Whose code runs it, when it is not ours.
    pub external: Option<ExternalWorkflow>,
    /// What it is started with; its id is the request's.
    pub input: WorkflowEnvelope,
}

impl StartRequest {
    /// To start the workflow of `input` under `key`, as request `id`, because of `cause`.
    ///
    /// # Errors
    /// The key or the input is out of bounds.
    pub fn new<I: WorkflowInput>(
        envelopes: &EnvelopeFactory,
        id: MessageId,
        key: impl fmt::Display,
        input: &I,
        cause: &Cause,
    ) -> Result<Self, EncodeError> {
        let key = WorkflowKey::new(key.to_string()).map_err(|source| EncodeError::Name {
            contract: I::contract_name(),
            source,
        })?;
        Ok(Self {
            id: WorkflowId::new(input.tenant(), I::NAME, key),
            reuse: I::REUSE,
            external: None,
            input: WorkflowEnvelope {
                id,
                workflow: I::NAME,
                version: <I as Contract>::VERSION,
                tenant: input.tenant(),
                cause: cause.clone().rooted_at(id),
                payload: envelopes.codec().encode(input, id)?,
            },
        })
    }

    /// The request's id.
    pub const fn request_id(&self) -> MessageId {
        self.input.id
    }
}

/// A workflow of another program on the same engine, perhaps in another language. It is given the bare input, without an
/// envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "External")]
pub struct ExternalWorkflow {
    /// Its type, as that program calls it.
    #[serde(rename = "type")]
    workflow_type: String,
    /// The queue that program's workers listen on.
    task_queue: String,
}

/// One that was not checked yet.
#[derive(Deserialize)]
struct External {
    #[serde(rename = "type")]
    workflow_type: String,
    task_queue: String,
}

impl TryFrom<External> for ExternalWorkflow {
    type Error = InvalidName;

    fn try_from(external: External) -> Result<Self, InvalidName> {
        Self::new(external.workflow_type, external.task_queue)
    }
}

impl ExternalWorkflow {
    /// The workflow of this type, run by the workers of this queue.
    ///
    /// # Errors
    /// One of the two has not 1 to 200 bytes without control characters.
    pub fn new(workflow_type: impl Into<String>, task_queue: impl Into<String>) -> Result<Self, InvalidName> {
        let (workflow_type, task_queue) = (workflow_type.into(), task_queue.into());
        for text in [&workflow_type, &task_queue] {
            RunId::new(text.clone()).map_err(|_| InvalidName {
                kind: "an external workflow's type and its task queue",
                expected: "1 to 200 bytes without control characters",
            })?;
        }
        Ok(Self {
            workflow_type,
            task_queue,
        })
    }

    /// Its type.
    pub fn workflow_type(&self) -> &str {
        &self.workflow_type
    }

    /// The queue of its workers.
    pub fn task_queue(&self) -> &str {
        &self.task_queue
    }
}

/// To tell a workflow something.
#[derive(Clone, PartialEq)]
pub struct SignalRequest {
    /// Which.
    pub id: WorkflowId,
    /// The request's id.
    pub request_id: MessageId,
    /// The signal's name.
    pub name: SignalName,
    /// What it says.
    pub payload: Value,
}

impl fmt::Debug for SignalRequest {
    /// Without what it says, which does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalRequest")
            .field("id", &self.id)
            .field("request_id", &self.request_id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl SignalRequest {
    /// To tell the workflow `id` what `signal` says, as request `request_id`.
    ///
    /// # Errors
    /// The signal is over the limits of a payload, or holds a secret: only contracts are sealed.
    pub fn new<S: WorkflowSignal>(
        envelopes: &EnvelopeFactory,
        request_id: MessageId,
        id: WorkflowId,
        signal: &S,
    ) -> Result<Self, EncodeError> {
        let contract = || format!("signal {}", S::NAME);
        let serialise = |error: serde_json::Error| EncodeError::Serialise {
            contract: contract(),
            reason: error.to_string(),
        };
        let text = serde_json::to_string(signal).map_err(serialise)?;
        let json = Json::parse(text, envelopes.codec().limits()).map_err(|source| EncodeError::Json {
            contract: contract(),
            source,
        })?;
        Ok(Self {
            id,
            request_id,
            name: S::NAME,
            payload: json.to().map_err(serialise)?,
        })
    }
}

/// To end a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopRequest {
    /// Which.
    pub id: WorkflowId,
    /// The request's id.
    pub request_id: MessageId,
    /// Why, for people.
    pub reason: Reason,
}

/// A workflow was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowStartError {
    /// Its id is taken: by one that runs, or by one that ran and runs once ever.
    #[error("the workflow {id} was started already, as run {run_id}")]
    AlreadyStarted {
        /// The workflow.
        id: WorkflowId,
        /// The run that has the id.
        run_id: RunId,
    },
    /// The engine knows that nobody runs such a workflow.
    #[error("no workflow of the name {name} is known to the engine")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// The engine will never take it: an id or an input over its limits.
    #[error("the engine refused to start {id}: {reason}")]
    Refused {
        /// The workflow.
        id: WorkflowId,
        /// What it said.
        reason: String,
    },
    /// The engine answered with an error of its own; it may have been started. Worth a few more tries, and then a person.
    #[error("the workflow engine failed ({operation}): {reason}")]
    EngineFailed {
        /// What was tried.
        operation: &'static str,
        /// What it said.
        reason: String,
    },
    /// The engine is away, overloaded, too slow, or not set up for us; it may have been started.
    #[error("the workflow engine is unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What was seen.
        reason: String,
    },
}

impl Classified for WorkflowStartError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::AlreadyStarted { .. } | Self::Unknown { .. } | Self::Refused { .. } => ErrorClass::Permanent,
            Self::EngineFailed { .. } => ErrorClass::Retryable,
            Self::Unavailable { .. } => ErrorClass::Outage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyStarted { .. } => "workflow.already_started",
            Self::Unknown { .. } => "workflow.unknown",
            Self::Refused { .. } => "workflow.refused",
            Self::EngineFailed { .. } => "workflow.engine_failed",
            Self::Unavailable { .. } => "workflow.unavailable",
        }
    }
}

/// A workflow was not told or not ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowRequestError {
    /// None runs under the id, and none did as far as the engine remembers.
    #[error("no workflow {id} runs")]
    NotRunning {
        /// The workflow.
        id: WorkflowId,
    },
    /// It ran, and has closed.
    #[error("the workflow {id} is over: its newest run {run_id} has closed")]
    Over {
        /// The workflow.
        id: WorkflowId,
        /// Its newest run.
        run_id: RunId,
    },
    /// The engine will never take it.
    #[error("the engine refused the request to {id}: {reason}")]
    Refused {
        /// The workflow.
        id: WorkflowId,
        /// What it said.
        reason: String,
    },
    /// The engine answered with an error of its own; the request may have arrived. Worth a few more tries, and then a person.
    #[error("the workflow engine failed ({operation}): {reason}")]
    EngineFailed {
        /// What was tried.
        operation: &'static str,
        /// What it said.
        reason: String,
    },
    /// The engine is away, overloaded, too slow, or not set up for us; the request may have arrived.
    #[error("the workflow engine is unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What was seen.
        reason: String,
    },
}

impl Classified for WorkflowRequestError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NotRunning { .. } | Self::Over { .. } | Self::Refused { .. } => ErrorClass::Permanent,
            Self::EngineFailed { .. } => ErrorClass::Retryable,
            Self::Unavailable { .. } => ErrorClass::Outage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotRunning { .. } => "workflow.not_running",
            Self::Over { .. } => "workflow.over",
            Self::Refused { .. } => "workflow.refused",
            Self::EngineFailed { .. } => "workflow.engine_failed",
            Self::Unavailable { .. } => "workflow.unavailable",
        }
    }
}
