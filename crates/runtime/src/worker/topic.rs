//! A topic and the handlers of its tasks, as an application declares it.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{
    Cause, Codec, DecodeError, EnvelopeFactory, Json, TaskEnvelope, TaskName, TopicName,
};
use aftercommit_domain::events::ReadInputError;
use aftercommit_domain::tasks::{RetryPolicy, Task, TaskContext, TaskDescriptor, TaskHandler, TaskOptions, TaskResult};
use async_trait::async_trait;

/// A topic and the handlers of its tasks. Exactly one worker module declares a topic.
pub struct Topic {
    pub(crate) name: String,
    pub(crate) concurrency: Option<usize>,
    pub(crate) prefetch: Option<usize>,
    pub(crate) registrations: Vec<Registration>,
}

pub(crate) struct Registration {
    pub(crate) task: TaskName,
    /// The topic the contract says it belongs to.
    pub(crate) topic: TopicName,
    pub(crate) descriptor: Option<TaskDescriptor>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: RetryPolicy,
    pub(crate) make: Box<dyn FnOnce(Codec) -> Arc<dyn EnvelopeHandler> + Send>,
    pub(crate) read_input: Option<ReadTask>,
    pub(crate) correct: Option<CorrectTask>,
}

/// Makes the envelope of a task a person wrote as JSON.
pub(crate) type ReadTask = fn(&Json, &EnvelopeFactory, &TaskOptions, &Cause) -> Result<TaskEnvelope, ReadInputError>;

/// Makes the envelope of a task that a person corrected.
pub(crate) type CorrectTask = fn(&TaskEnvelope, &Json, &EnvelopeFactory) -> Result<TaskEnvelope, ReadInputError>;

/// Runs a task whose type is forgotten.
#[async_trait]
pub trait EnvelopeHandler: Send + Sync {
    /// Runs `task`. `Err` when its payload cannot be read: it is dead at once.
    async fn handle(&self, task: &TaskEnvelope, ctx: &TaskContext) -> Result<TaskResult, DecodeError>;
}

/// What configuration may change about a topic without a new build.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TopicOverrides {
    /// Handlers at once.
    pub concurrency: Option<usize>,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
    /// Counted attempts before a task is dead.
    pub max_attempts: Option<u32>,
    /// The step after the first failed attempt.
    pub base_delay: Option<Duration>,
    /// The longest step.
    pub max_delay: Option<Duration>,
}

impl Topic {
    /// A topic of this name. A name that is none is refused when the application starts.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            concurrency: None,
            prefetch: None,
            registrations: Vec::new(),
        }
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs tasks of contract `T` with `handler`.
    pub fn handle<T: Task>(mut self, handler: impl TaskHandler<T>) -> Self {
        self.registrations.push(Registration {
            task: T::NAME,
            topic: T::TOPIC,
            descriptor: Some(TaskDescriptor::of::<T>()),
            timeout: T::timeout(),
            retry: T::retry_policy(),
            make: Box::new(|codec| {
                Arc::new(Typed {
                    handler,
                    codec,
                    task: PhantomData::<fn(T)>,
                })
            }),
            read_input: Some(|input, envelopes, options, cause| {
                let task: T = envelopes.codec().read_input(input)?;
                Ok(envelopes.task(envelopes.new_id(), &task, options, cause)?)
            }),
            correct: Some(|original, input, envelopes| {
                let codec = envelopes.codec();
                let task: T = codec.read_correction(input, &original.tenant, original.id)?;
                Ok(envelopes.corrected(original, &task)?)
            }),
        });
        self
    }

    /// Runs a task of this topic by its envelope, as the rail itself does. Shown to operators as `descriptor` says.
    pub(crate) fn handle_envelopes(
        mut self,
        (topic, task): (TopicName, TaskName),
        handler: Arc<dyn EnvelopeHandler>,
        descriptor: Option<TaskDescriptor>,
    ) -> Self {
        self.registrations.push(Registration {
            task,
            topic,
            descriptor,
            timeout: None,
            retry: RetryPolicy::default(),
            make: Box::new(|_| handler),
            read_input: None,
            correct: None,
        });
        self
    }

    /// How many handlers of this topic run at once in a process: 1 to 10 000. Defaults to the configuration's, which wins.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = Some(handlers);
        self
    }

    /// How many tasks are taken and not yet settled at most; never fewer than `concurrency`. Defaults to the
    /// configuration's factor of `concurrency`.
    pub fn prefetch(mut self, tasks: usize) -> Self {
        self.prefetch = Some(tasks);
        self
    }
}

struct Typed<T, H> {
    handler: H,
    codec: Codec,
    task: PhantomData<fn(T)>,
}

#[async_trait]
impl<T: Task, H: TaskHandler<T>> EnvelopeHandler for Typed<T, H> {
    async fn handle(&self, envelope: &TaskEnvelope, ctx: &TaskContext) -> Result<TaskResult, DecodeError> {
        let task: T = self
            .codec
            .decode(&envelope.payload, envelope.version, &envelope.tenant, envelope.id)?;
        Ok(self.handler.handle(task, ctx).await)
    }
}
