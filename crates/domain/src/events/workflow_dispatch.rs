//! Workflows that follow from an event.

use std::fmt;

use crate::contract::{
    Cause, DispatchKey, EncodeError, EnvelopeFactory, InvalidName, TaskEnvelope, TaskName, WorkflowKey,
};
use crate::events::dispatch::{Dispatch, DispatchTarget, EnvelopedTask, IntoDispatches};
use crate::ids::MessageId;
use crate::tasks::TaskOptions;
use crate::workflows::{
    SIGNAL_TASK, START_TASK, SignalRequest, StartRequest, WORKFLOW_REQUESTS_TOPIC, WorkflowId, WorkflowInput,
    WorkflowRequest, WorkflowSignal,
};

/// Starts the workflow of `input` under `key` when the event happens. A redelivered event asks again as the same request, so
/// it starts nothing new.
pub fn start<I: WorkflowInput>(key: impl fmt::Display, input: I) -> Start<I> {
    Start {
        key: WorkflowKey::new(key.to_string()),
        input,
    }
}

/// Tells a workflow something when the event happens.
pub const fn signal<S: WorkflowSignal + Sync>(id: WorkflowId, signal: S) -> Signal<S> {
    Signal { id, signal }
}

/// A workflow that follows from an event.
pub struct Start<I> {
    key: Result<WorkflowKey, InvalidName>,
    input: I,
}

/// Something that is told to a workflow because of an event.
pub struct Signal<S> {
    id: WorkflowId,
    signal: S,
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
        let key = self.key.clone().and_then(|key| {
            let id = WorkflowId::new(self.input.tenant(), I::NAME, key);
            DispatchKey::new(id.order_key().as_str())
        });
        vec![Dispatch::new(target(START_TASK), key.map(Some), Box::new(self))]
    }
}

impl<S: WorkflowSignal + Sync> IntoDispatches for Signal<S> {
    fn targets(targets: &mut Vec<DispatchTarget>) {
        targets.push(target(SIGNAL_TASK));
    }

    fn into_dispatches(self) -> Vec<Dispatch> {
        vec![Dispatch::new(target(SIGNAL_TASK), Ok(None), Box::new(self))]
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
        let key = self.key.as_ref().map_err(|source| EncodeError::Name {
            contract: I::contract_name(),
            source: source.clone(),
        })?;
        let request = StartRequest::new(factory, id, key, &self.input, cause)?;
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
