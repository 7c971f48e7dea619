//! Requests to workflows that leave with a transaction: tasks of a topic of their own.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::{
    Cause, DecodeError, EncodeError, EnvelopeFactory, InvalidJson, InvalidName, Json, Limits, Scope, SignalName,
    TaskEnvelope, TaskName, TopicName, WorkflowEnvelope, WorkflowKey, WorkflowName,
};
use crate::events::{OutboxMessage, OutboxWriter, WriteError};
use crate::ids::MessageId;
use crate::tasks::TaskDescriptor;
use crate::workflows::{
    ExternalWorkflow, IdReuse, SignalRequest, StartRequest, WorkflowId, WorkflowInput, WorkflowSignal,
};

/// The topic of requests to workflows. Its tasks are carried out one after another for each workflow, in the order they were
/// written, so a start comes before its signals. Only a signal that came before its workflow ran goes behind the others, and may
/// be told after signals that were written later.
pub const WORKFLOW_REQUESTS_TOPIC: TopicName = TopicName::constant("workflow-requests");
/// The task that starts a workflow.
pub const START_TASK: TaskName = TaskName::constant("start");
/// The task that tells a workflow something.
pub const SIGNAL_TASK: TaskName = TaskName::constant("signal");
/// The task that tells a workflow something, and starts it unless it runs.
pub const SIGNAL_WITH_START_TASK: TaskName = TaskName::constant("signal-with-start");

/// The version of the payloads below.
const VERSION: u16 = 1;

/// Starts workflows and tells them things with a transaction: what it asks for happens when it commits, and never when it
/// does not. While the engine is away, requests wait.
///
/// Each answers the request's id. A request that the engine refuses for good is a dead letter with its code; a start whose id
/// is taken is a skipped task that says by which run.
///
/// ```
/// use aftercommit_domain::workflows::WorkflowOutboxExt;
/// # use aftercommit_domain::contract::{OrganizationId, ProjectId};
/// # use aftercommit_domain::events::{OutboxWriter, WriteError};
/// # use aftercommit_domain::workflows::WorkflowInput;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, WorkflowInput)]
/// # #[workflow(name = "collect-payment", version = 1)]
/// # struct CollectPayment { organization_id: OrganizationId, project_id: ProjectId, invoice_id: i64 }
/// # async fn use_case(outbox: &mut dyn OutboxWriter, input: CollectPayment) -> Result<(), WriteError> {
/// outbox.start(input.invoice_id, &input).await?;
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait WorkflowOutboxExt: OutboxWriter {
    /// Starts the workflow of `input` under `key`.
    async fn start<I: WorkflowInput>(
        &mut self,
        key: impl std::fmt::Display + Send,
        input: &I,
    ) -> Result<MessageId, WriteError> {
        let start = StartRequest::new(self.envelopes(), self.envelopes().new_id(), key, input, self.cause())?;
        write(self, WorkflowRequest::Start(start)).await
    }

    /// Starts a workflow of another program on the same engine, perhaps in another language: of this type, run by the workers
    /// of this queue. It is given the bare input.
    async fn start_external<I: WorkflowInput>(
        &mut self,
        workflow_type: &str,
        task_queue: &str,
        key: impl std::fmt::Display + Send,
        input: &I,
    ) -> Result<MessageId, WriteError> {
        let mut start = StartRequest::new(self.envelopes(), self.envelopes().new_id(), key, input, self.cause())?;
        let external = ExternalWorkflow::new(workflow_type, task_queue).map_err(|source| named::<I>(source))?;
        start.external = Some(external);
        write(self, WorkflowRequest::Start(start)).await
    }

    /// Tells a workflow something.
    async fn signal<S: WorkflowSignal + Sync>(&mut self, id: &WorkflowId, signal: &S) -> Result<MessageId, WriteError> {
        let signal = SignalRequest::new(self.envelopes(), self.envelopes().new_id(), id.clone(), signal)?;
        write(self, WorkflowRequest::Signal(signal)).await
    }

    /// Tells the workflow of `input` under `key` something, and starts it unless it runs.
    async fn signal_with_start<I: WorkflowInput, S: WorkflowSignal + Sync>(
        &mut self,
        key: impl std::fmt::Display + Send,
        input: &I,
        signal: &S,
    ) -> Result<MessageId, WriteError> {
        let start = StartRequest::new(self.envelopes(), self.envelopes().new_id(), key, input, self.cause())?;
        let signal = SignalRequest::new(self.envelopes(), start.request_id(), start.id.clone(), signal)?;
        write(self, WorkflowRequest::SignalWithStart(start, signal)).await
    }
}

impl<W: OutboxWriter + ?Sized> WorkflowOutboxExt for W {}

async fn write<W: OutboxWriter + ?Sized>(outbox: &mut W, request: WorkflowRequest) -> Result<MessageId, WriteError> {
    let task = request.to_task(outbox.envelopes(), outbox.cause())?;
    let id = task.id;
    outbox.append(vec![OutboxMessage::Task(task)]).await?;
    Ok(id)
}

fn named<I: WorkflowInput>(source: InvalidName) -> EncodeError {
    EncodeError::Name {
        contract: I::contract_name(),
        source,
    }
}

/// A request to a workflow, as its task carries it.
#[derive(Debug, Clone, PartialEq)]
pub enum WorkflowRequest {
    /// Starts one.
    Start(StartRequest),
    /// Tells one something.
    Signal(SignalRequest),
    /// Both: the ids of the two are the same.
    SignalWithStart(StartRequest, SignalRequest),
}

impl WorkflowRequest {
    /// What is known of the requests that `task` carries. They belong to whom their workflow belongs to: mostly a project.
    pub const fn descriptor(task: TaskName) -> TaskDescriptor {
        TaskDescriptor {
            topic: WORKFLOW_REQUESTS_TOPIC,
            task,
            version: VERSION,
            scope: Scope::Project,
            exemption: None,
        }
    }

    /// The task that carries it: under the request's id, in the order of its workflow.
    ///
    /// # Errors
    /// It is over the limits of a payload.
    pub fn to_task(&self, envelopes: &EnvelopeFactory, cause: &Cause) -> Result<TaskEnvelope, EncodeError> {
        let (task, id, workflow, text) = match self {
            Self::Start(start) => (
                START_TASK,
                start.request_id(),
                &start.id,
                serde_json::to_string(&Start::of(start)),
            ),
            Self::Signal(signal) => (
                SIGNAL_TASK,
                signal.request_id,
                &signal.id,
                serde_json::to_string(&Signal::of(signal)),
            ),
            Self::SignalWithStart(start, signal) => (
                SIGNAL_WITH_START_TASK,
                start.request_id(),
                &start.id,
                serde_json::to_string(&SignalWithStart {
                    start: Start::of(start),
                    signal: signal.name.clone(),
                    payload: signal.payload.clone(),
                }),
            ),
        };
        let contract = || format!("{WORKFLOW_REQUESTS_TOPIC}/{task}");
        let text = text.map_err(|error| EncodeError::Serialise {
            contract: contract(),
            reason: error.to_string(),
        })?;
        let limits = envelopes.codec().limits();
        let payload = Json::parse(text, &limits.of_carried_workflow()).map_err(|source| EncodeError::Json {
            contract: contract(),
            source,
        })?;
        let now = envelopes.now();
        Ok(TaskEnvelope {
            id,
            topic: WORKFLOW_REQUESTS_TOPIC,
            task,
            version: VERSION,
            tenant: workflow.tenant().clone(),
            attempt: 1,
            enqueued_at: now,
            first_enqueued_at: now,
            not_before: None,
            deadline: None,
            order_key: Some(workflow.order_key()),
            coalescing: None,
            slot: None,
            cause: cause.clone().rooted_at(id),
            payload,
        })
    }

    /// The request that `task` carries.
    ///
    /// # Errors
    /// It carries none that this build can read.
    pub fn from_task(task: &TaskEnvelope) -> Result<Self, DecodeError> {
        let contract = || format!("{}/{}", task.topic, task.task);
        if task.version != VERSION {
            return Err(DecodeError::Version {
                contract: contract(),
                got: task.version,
                have: VERSION,
                reason: "the payload of a request has one version so far".into(),
            });
        }
        match &task.task {
            name if *name == START_TASK => Ok(Self::Start(read::<Start>(task)?.of_task(task))),
            name if *name == SIGNAL_TASK => Ok(Self::Signal(read::<Signal>(task)?.of_task(task))),
            name if *name == SIGNAL_WITH_START_TASK => {
                let SignalWithStart { start, signal, payload } = read(task)?;
                let start = start.of_task(task);
                let signal = SignalRequest {
                    id: start.id.clone(),
                    request_id: task.id,
                    name: signal,
                    payload,
                };
                Ok(Self::SignalWithStart(start, signal))
            }
            _ => Err(DecodeError::Unknown { contract: contract() }),
        }
    }

    /// How often the signal that `task` carries came before its workflow ran.
    pub fn times_early(task: &TaskEnvelope) -> u32 {
        task.payload.to().map_or(0, |Early { early }| early)
    }

    /// What the task that carries a signal on holds, when it came before its workflow ran once more: the rest as it was
    /// written.
    ///
    /// # Errors
    /// It is no object, or over the limits of a payload.
    pub fn early_once_more(task: &TaskEnvelope, limits: &Limits) -> Result<Json, EncodeError> {
        let contract = || format!("{}/{}", task.topic, task.task);
        let serialise = |error: serde_json::Error| EncodeError::Serialise {
            contract: contract(),
            reason: format!(
                "it is no such request, at line {} column {}",
                error.line(),
                error.column()
            ),
        };
        let parse = |text: String| {
            Json::parse(text, &limits.of_carried_workflow()).map_err(|source: InvalidJson| EncodeError::Json {
                contract: contract(),
                source,
            })
        };
        let mut fields: BTreeMap<String, Json> = task.payload.to().map_err(serialise)?;
        let times = Self::times_early(task).saturating_add(1);
        fields.insert("early".to_owned(), parse(times.to_string())?);
        parse(serde_json::to_string(&fields).map_err(serialise)?)
    }
}

/// What the task of a signal holds beside the signal: never where it was not early, or an older build carried it on.
#[derive(Deserialize)]
struct Early {
    #[serde(default)]
    early: u32,
}

/// Without what it says: somebody may have written a secret in clear.
fn read<'a, T: Deserialize<'a>>(task: &'a TaskEnvelope) -> Result<T, DecodeError> {
    task.payload.to().map_err(|error| DecodeError::Payload {
        contract: format!("{}/{}", task.topic, task.task),
        reason: format!(
            "it is no such request, at line {} column {}",
            error.line(),
            error.column()
        ),
        code: "payload.malformed",
    })
}

#[derive(Serialize, Deserialize)]
struct Start {
    workflow: WorkflowName,
    key: WorkflowKey,
    #[serde(default, skip_serializing_if = "is_false")]
    once_ever: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external: Option<ExternalWorkflow>,
    version: u16,
    input: Json,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Start {
    fn of(request: &StartRequest) -> Self {
        Self {
            workflow: request.id.name().clone(),
            key: request.id.key().clone(),
            once_ever: request.reuse == IdReuse::OnceEver,
            external: request.external.clone(),
            version: request.input.version,
            input: request.input.payload.clone(),
        }
    }

    fn of_task(self, task: &TaskEnvelope) -> StartRequest {
        StartRequest {
            reuse: if self.once_ever {
                IdReuse::OnceEver
            } else {
                IdReuse::AfterClose
            },
            external: self.external,
            input: WorkflowEnvelope {
                id: task.id,
                workflow: self.workflow.clone(),
                version: self.version,
                tenant: task.tenant.clone(),
                cause: task.cause.clone(),
                payload: self.input,
            },
            id: WorkflowId::new(task.tenant.clone(), self.workflow, self.key),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Signal {
    workflow: WorkflowName,
    key: WorkflowKey,
    signal: SignalName,
    payload: Value,
}

impl Signal {
    fn of(request: &SignalRequest) -> Self {
        Self {
            workflow: request.id.name().clone(),
            key: request.id.key().clone(),
            signal: request.name.clone(),
            payload: request.payload.clone(),
        }
    }

    fn of_task(self, task: &TaskEnvelope) -> SignalRequest {
        SignalRequest {
            id: WorkflowId::new(task.tenant.clone(), self.workflow, self.key),
            request_id: task.id,
            name: self.signal,
            payload: self.payload,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct SignalWithStart {
    start: Start,
    signal: SignalName,
    payload: Value,
}
