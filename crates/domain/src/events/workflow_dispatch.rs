//! Workflows that follow from an event.

use std::fmt;

use crate::contract::{
    Cause, DispatchKey, EncodeError, EnvelopeFactory, InvalidName, OrderKey, SignalName, TaskEnvelope, TaskName,
    WorkflowKey,
};
use crate::events::dispatch::{Dispatch, DispatchTarget, EnvelopedTask, IntoDispatches};
use crate::ids::MessageId;
use crate::tasks::TaskOptions;
use crate::workflows::{
    ExternalWorkflow, SIGNAL_TASK, SIGNAL_WITH_START_TASK, START_TASK, SignalRequest, StartRequest,
    WORKFLOW_REQUESTS_TOPIC, WorkflowId, WorkflowInput, WorkflowRequest, WorkflowSignal,
};

/// Starts the workflow of `input` under `key` when the event happens. A redelivered event asks again as the same request, so
/// it starts nothing new.
pub fn start<I: WorkflowInput>(key: impl fmt::Display, input: I) -> Start<I> {
    Start {
        key: WorkflowKey::new(key.to_string()),
        external: None,
        input,
    }
}

/// Starts a workflow of another program on the same engine, perhaps in another language, when the event happens: of this type,
/// run by the workers of this queue. It is given the bare input.
pub fn start_external<I: WorkflowInput>(
    workflow_type: &str,
    task_queue: &str,
    key: impl fmt::Display,
    input: I,
) -> Start<I> {
    Start {
        external: Some(ExternalWorkflow::new(workflow_type, task_queue)),
        ..start(key, input)
    }
}

/// Tells a workflow something when the event happens. A redelivered event tells it as the same request, so it tells nothing
/// new, whatever else the route answers by then.
pub const fn signal<S: WorkflowSignal + Sync>(id: WorkflowId, signal: S) -> Signal<S> {
    Signal { id, signal, key: None }
}

/// Tells the workflow of `input` under `key` something when the event happens, and starts it unless it runs. For a signal that
/// may be the first that the workflow hears of. A redelivered event asks again as the same request.
pub fn signal_with_start<I: WorkflowInput, S: WorkflowSignal + Sync>(
    key: impl fmt::Display,
    input: I,
    signal: S,
) -> SignalWithStart<I, S> {
    SignalWithStart {
        start: start(key, input),
        signal,
        key: None,
    }
}

/// A workflow that follows from an event.
pub struct Start<I> {
    key: Result<WorkflowKey, InvalidName>,
    external: Option<Result<ExternalWorkflow, InvalidName>>,
    input: I,
}

impl<I: WorkflowInput> Start<I> {
    /// The workflow; or which of the names that the route made up is out of bounds.
    fn id(&self) -> Result<WorkflowId, InvalidName> {
        if let Some(Err(invalid)) = &self.external {
            return Err(invalid.clone());
        }
        Ok(WorkflowId::new(self.input.tenant(), I::NAME, self.key.clone()?))
    }

    fn request(&self, factory: &EnvelopeFactory, id: MessageId, cause: &Cause) -> Result<StartRequest, EncodeError> {
        let named = |source| EncodeError::Name {
            contract: I::contract_name(),
            source,
        };
        let workflow = self.id().map_err(named)?;
        let external = self.external.clone().transpose().map_err(named)?;
        let request = StartRequest::new(factory, id, workflow.key(), &self.input, cause)?;
        Ok(StartRequest { external, ..request })
    }
}

/// Something that is told to a workflow because of an event, whether it runs yet or not.
pub struct SignalWithStart<I, S> {
    start: Start<I>,
    signal: S,
    key: Option<Result<DispatchKey, InvalidName>>,
}

impl<I, S> SignalWithStart<I, S> {
    /// As [`Signal::key`].
    pub fn key(mut self, key: impl fmt::Display) -> Self {
        self.key = Some(DispatchKey::new(key.to_string()));
        self
    }
}

/// Something that is told to a workflow because of an event.
pub struct Signal<S> {
    id: WorkflowId,
    signal: S,
    key: Option<Result<DispatchKey, InvalidName>>,
}

impl<S> Signal<S> {
    /// Tells it apart from another signal of the same name to the same workflow. Without one, a route that tells a workflow
    /// the same thing twice is refused.
    pub fn key(mut self, key: impl fmt::Display) -> Self {
        self.key = Some(DispatchKey::new(key.to_string()));
        self
    }
}

/// What tells a signal apart from all others of the event, in one spelling: names hold no `/`, and a key has its length.
fn key_of_signal(
    id: &WorkflowId,
    name: &SignalName,
    key: Option<&Result<DispatchKey, InvalidName>>,
) -> Result<DispatchKey, InvalidName> {
    let key = match key {
        None => "-".to_owned(),
        Some(key) => {
            let key = key.as_ref().map_err(Clone::clone)?.as_str();
            format!("{}:{key}", key.len())
        }
    };
    DispatchKey::new(OrderKey::of(format_args!("{name}/{key}/{id}")).as_str())
}

const fn target(task: TaskName) -> DispatchTarget {
    DispatchTarget {
        topic: WORKFLOW_REQUESTS_TOPIC,
        task,
    }
}

impl<I: WorkflowInput> IntoDispatches for Start<I> {
    fn targets(targets: &mut Vec<DispatchTarget>) {
        targets.push(target(START_TASK));
    }

    fn into_dispatches(self) -> Vec<Dispatch> {
        // Told apart by what is started, so that their order in the route may change.
        let key = self.id().and_then(|id| DispatchKey::new(id.order_key().as_str()));
        vec![Dispatch::new(target(START_TASK), key.map(Some), Box::new(self))]
    }
}

impl<S: WorkflowSignal + Sync> IntoDispatches for Signal<S> {
    fn targets(targets: &mut Vec<DispatchTarget>) {
        targets.push(target(SIGNAL_TASK));
    }

    fn into_dispatches(self) -> Vec<Dispatch> {
        // Told apart by what is told to whom, so that a build may tell more or less of an event that comes again.
        let key = key_of_signal(&self.id, &S::NAME, self.key.as_ref());
        vec![Dispatch::new(target(SIGNAL_TASK), key.map(Some), Box::new(self))]
    }
}

impl<I: WorkflowInput, S: WorkflowSignal + Sync> IntoDispatches for SignalWithStart<I, S> {
    fn targets(targets: &mut Vec<DispatchTarget>) {
        targets.push(target(SIGNAL_WITH_START_TASK));
    }

    fn into_dispatches(self) -> Vec<Dispatch> {
        let id = self.start.id();
        let key = id.and_then(|id| key_of_signal(&id, &S::NAME, self.key.as_ref()));
        vec![Dispatch::new(
            target(SIGNAL_WITH_START_TASK),
            key.map(Some),
            Box::new(self),
        )]
    }
}

impl<I: WorkflowInput> EnvelopedTask for Start<I> {
    fn envelope(
        &self,
        factory: &EnvelopeFactory,
        id: MessageId,
        _: &TaskOptions,
        cause: &Cause,
    ) -> Result<TaskEnvelope, EncodeError> {
        let request = self.request(factory, id, cause)?;
        WorkflowRequest::Start(request).to_task(factory, cause)
    }
}

impl<S: WorkflowSignal + Sync> EnvelopedTask for Signal<S> {
    fn envelope(
        &self,
        factory: &EnvelopeFactory,
        id: MessageId,
        _: &TaskOptions,
        cause: &Cause,
    ) -> Result<TaskEnvelope, EncodeError> {
        let request = SignalRequest::new(factory, id, self.id.clone(), &self.signal)?;
        WorkflowRequest::Signal(request).to_task(factory, cause)
    }
}

impl<I: WorkflowInput, S: WorkflowSignal + Sync> EnvelopedTask for SignalWithStart<I, S> {
    fn envelope(
        &self,
        factory: &EnvelopeFactory,
        id: MessageId,
        _: &TaskOptions,
        cause: &Cause,
    ) -> Result<TaskEnvelope, EncodeError> {
        let start = self.start.request(factory, id, cause)?;
        let signal = SignalRequest::new(factory, id, start.id.clone(), &self.signal)?;
        WorkflowRequest::SignalWithStart(start, signal).to_task(factory, cause)
    }
}
