//! The queue: topics of tasks, whatever carries them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::contract::{
    Cause, EncodeError, EnvelopeFactory, LimitExceeded, RawTask, TaskEnvelope, TopicName, WorkerName,
};
use crate::failure::{Classified, ErrorClass, Failure};
use crate::ids::MessageId;
use crate::tasks::{Outcome, Task, TaskContext, TaskOptions};
use crate::time::Timestamp;

/// Puts tasks on their topics.
///
/// **Contract**: one result per message, in input order. `Ok` means the queue has the task durably. Where
/// [`QueueCapabilities::deduplicates`], a task whose id is already waiting or running is not added again; elsewhere it may
/// be, and handlers recognise it by its id. Tasks with one order key keep their input order, and when one fails, the later
/// ones of its key in the same call fail too. One bad message never spoils another. Called concurrently. Dropping the call
/// may still publish.
#[async_trait]
pub trait QueuePublisher: Send + Sync {
    /// Publishes `messages`.
    async fn publish(&self, messages: Vec<TaskEnvelope>) -> Vec<Result<Published, PublishError>>;

    /// What this queue can do.
    fn capabilities(&self) -> QueueCapabilities;
}

/// What users publish with: typed tasks.
#[async_trait]
pub trait QueuePublisherExt: QueuePublisher {
    /// Publishes one task outside any transaction. Answers its id.
    async fn publish_task<T: Task>(
        &self,
        envelopes: &EnvelopeFactory,
        task: T,
        options: TaskOptions,
        cause: &Cause,
    ) -> Result<MessageId, PublishError> {
        let id = envelopes.new_id();
        let envelope = envelopes
            .task(id, &task, &options, cause)
            .map_err(PublishError::from_encode)?;
        self.publish(vec![envelope])
            .await
            .pop()
            .unwrap_or_else(|| Err(PublishError::unanswered()))?;
        Ok(id)
    }

    /// Publishes tasks from within a handler, each under an id that comes from the handled task's id, its own topic and name,
    /// and its key: a handler that is run again publishes the same tasks and no others. For what a transaction decided use the
    /// outbox; this is for fanning out what is durable already.
    ///
    /// # Errors
    /// The first one, after all were tried. Those that were published stay so.
    async fn publish_from_task<T: Task>(
        &self,
        envelopes: &EnvelopeFactory,
        tasks: Vec<FannedOut<T>>,
        ctx: &TaskContext,
    ) -> Result<(), PublishError> {
        let mut messages = Vec::with_capacity(tasks.len());
        for FannedOut { key, task, options } in tasks {
            let (topic, name) = (T::TOPIC, T::NAME);
            let id = ctx.task_id().derive(&format!("{topic}/{name}\u{1f}{key}"));
            let envelope = envelopes.task(id, &task, &options, ctx.cause());
            messages.push(envelope.map_err(PublishError::from_encode)?);
        }
        let wanted = messages.len();
        let results = self.publish(messages).await;
        if results.len() < wanted {
            return Err(PublishError::unanswered());
        }
        results.into_iter().try_for_each(|result| result.map(|_| ()))
    }
}

impl<P: QueuePublisher + ?Sized> QueuePublisherExt for P {}

/// One of the tasks that a handler publishes.
#[derive(Debug, Clone)]
pub struct FannedOut<T> {
    /// Tells it from the others that this run publishes of its kind. The same in every run: something of the task, and never a
    /// counter of what was done so far.
    pub key: String,
    /// The task.
    pub task: T,
    /// How it is published.
    pub options: TaskOptions,
}

/// What became of a published task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Published {
    /// It waits in its topic.
    Enqueued(MessageId),
    /// A task of this id was there already; nothing was added.
    AlreadyThere(MessageId),
    /// It is one task with others of its key.
    Coalesced {
        /// The task that is run for it.
        into: MessageId,
        /// How that came.
        why: Coalesced,
    },
}

/// How a publish came to be one task with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coalesced {
    /// Another task stands for it.
    Dropped,
    /// It took the place of the task that waited, which was this one.
    Replaced(MessageId),
}

/// What a queue can do.
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCapabilities {
    /// What `Ok` of settling means: durable, or written where a loss means redelivery.
    pub durable_settle: bool,
    /// Whether a task whose id is waiting or running is not added again.
    pub deduplicates: bool,
    /// Whether the followers of an order key also wait while its head waits for a retry.
    pub holds_order_over_retries: bool,
    /// Whether the tasks of an order key stay with one consumer while it lives, instead of going to any that has room.
    pub keeps_order_keys_on_one_consumer: bool,
    /// Whether tasks may be coalesced. If not, publishing one that is to be is [`PublishError::Invalid`].
    pub coalesces: bool,
    /// Whether a task can be looked at while it waits or runs; if not, only counted.
    pub shows_each_task: bool,
    /// The longest delay a task may wait in this queue.
    pub longest_delay: Duration,
}

/// A task was not put on its topic, or it is not known whether it was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// It can never be published.
    #[error("the task is invalid: {reason}")]
    Invalid {
        /// The stable code.
        code: &'static str,
        /// Why.
        reason: String,
    },
    /// No queue takes it.
    #[error("no queue takes the topic {topic}")]
    Unroutable {
        /// The topic.
        topic: TopicName,
    },
    /// The queue is full or forbids it.
    #[error("the queue refused the task: {reason}")]
    Refused {
        /// What the queue said.
        reason: String,
    },
    /// The queue is away or too slow; the task was not published.
    #[error("the queue is unavailable: {reason}")]
    Unavailable {
        /// What was seen.
        reason: String,
    },
    /// The reply was lost: the task may have been published. Publishing it again under its id is safe.
    #[error("it is not known whether the task was published: {reason}")]
    Unknown {
        /// What was seen.
        reason: String,
    },
    /// An earlier task of its order key failed, so this one was not tried.
    #[error("an earlier task of its order key was not published")]
    Blocked,
}

impl PublishError {
    /// From a contract that does not become an envelope.
    pub fn from_encode(error: impl std::borrow::Borrow<EncodeError>) -> Self {
        let error = error.borrow();
        Self::Invalid {
            code: error.code(),
            reason: error.to_string(),
        }
    }

    /// A publisher that did not answer for a message.
    pub(crate) fn unanswered() -> Self {
        Self::Unknown {
            reason: "the queue answered for fewer messages than it was given".into(),
        }
    }
}

impl From<LimitExceeded> for PublishError {
    fn from(limit: LimitExceeded) -> Self {
        Self::Invalid {
            code: limit.code(),
            reason: limit.to_string(),
        }
    }
}

impl Classified for PublishError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Invalid { .. } => ErrorClass::Permanent,
            Self::Unroutable { .. } => ErrorClass::Retryable,
            // A full queue is no fault of the message.
            Self::Refused { .. } => ErrorClass::RateLimited,
            Self::Unavailable { .. } | Self::Unknown { .. } | Self::Blocked => ErrorClass::Outage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid { code, .. } => code,
            Self::Unroutable { .. } => "queue.unroutable",
            Self::Refused { .. } => "queue.refused",
            Self::Unavailable { .. } => "queue.unavailable",
            Self::Unknown { .. } => "queue.unknown",
            Self::Blocked => "queue.blocked",
        }
    }
}

/// Takes tasks from topics.
#[async_trait]
pub trait QueueConsumer: Send + Sync {
    /// Starts taking tasks from `topic`. Several consumers of one topic, in one process or many, share its tasks.
    async fn consume(&self, topic: &TopicName, options: ConsumeOptions) -> Result<Box<dyn Deliveries>, ConsumeError>;
}

/// How tasks are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumeOptions {
    /// Who takes them.
    pub worker: WorkerName,
    /// How many may be handed out and not yet settled; at least 1.
    pub prefetch: usize,
    /// How long a delivery stays this consumer's without a sign of life. The provider renews it while the consumer lives, and
    /// what was handed out before it was stopped until that is settled or dropped.
    pub lease: Duration,
}

/// The tasks of one topic as they come.
///
/// **Contract**: waits while there is none; hands out at most `prefetch` unsettled deliveries; of the tasks with one
/// order key only the oldest unfinished one (see [`QueueCapabilities::holds_order_over_retries`]). Dropping it gives
/// unsettled deliveries back at the latest when their leases expire, but for those handed out before it was stopped.
#[async_trait]
pub trait Deliveries: Send {
    /// The next task. `Ok(None)` after `stop` only; `Err` means consume again. Cancelling the call loses no task: what
    /// was taken stays for the next call.
    async fn next(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError>;

    /// Stops taking tasks and gives back those taken but not handed out. Handed-out deliveries can still be
    /// settled, also when this is dropped: each stays its holder's until it is settled or dropped.
    async fn stop(&mut self);
}

/// One task, taken by this worker and settled exactly once, by type.
///
/// **Contract**: `Ok` of settling means what [`QueueCapabilities::durable_settle`] says. A delivery that is dropped
/// unsettled comes again, at the latest when its lease expires. Settling after the lease was lost answers
/// [`SettleError::Stale`] and never takes the task from the worker that has it now; on a broker a retry may leave a second
/// copy under the same id.
#[async_trait]
pub trait Delivery: Send + Sync {
    /// The task as it came.
    fn task(&self) -> &RawTask;

    /// This attempt's number, from 1: counted attempts before it, plus one.
    fn attempt(&self) -> u32;

    /// Whether an earlier run of it may have been lost without a result. A broker also says so of tasks that were only
    /// fetched ahead.
    fn redelivered(&self) -> bool;

    /// Whether it is still this worker's, as far as is known here without asking anybody. A worker that had to wait before it
    /// could run it asks again.
    fn is_held(&self) -> bool {
        true
    }

    /// Whether its runs were lost so often that it is to be run with nothing beside it in its process: the next loss then
    /// tells whether it takes processes down. `false` unless the provider counts lost runs.
    fn must_run_alone(&self) -> bool {
        false
    }

    /// Says that nothing else runs in this process from now on, until this delivery is settled. If its run is lost all the
    /// same, the loss is its own, and no task that only waited beside it has lost a run.
    ///
    /// `Ok` when that is recorded. [`SettleError::Stale`] when another worker has the task, which is not to be run here then.
    async fn begin_alone(&self) -> Result<(), SettleError> {
        Ok(())
    }

    /// It is over with this outcome (never a snooze).
    async fn ack(self: Box<Self>, outcome: &Outcome) -> Result<(), SettleError>;

    /// Again after this time; `counted` when it was an attempt. `failure` is `None` for a snooze.
    async fn retry(
        self: Box<Self>,
        after: Duration,
        counted: bool,
        failure: Option<&Failure>,
    ) -> Result<(), SettleError>;

    /// Given up: kept with its bytes and reason.
    async fn dead_letter(self: Box<Self>, failure: &Failure) -> Result<(), SettleError>;

    /// Back to the topic at once, to its place or near it, without counting an attempt.
    async fn give_back(self: Box<Self>) -> Result<(), SettleError>;

    /// Aside, without counting an attempt, because a pause holds it: nobody is handed it until
    /// [`TaskPauses::release`](super::TaskPauses::release). It keeps its place in the order of its key.
    async fn set_aside(self: Box<Self>) -> Result<(), SettleError>;
}

/// What keeps a queue tidy. A broker that does it by itself answers zeros.
#[async_trait]
pub trait QueueMaintenance: Send + Sync {
    /// Makes tasks available again whose worker was lost. Answers how many.
    async fn rescue_expired(&self) -> Result<u64, ConsumeError>;

    /// Forgets up to `limit` outcomes recorded before `before`. Answers how many.
    async fn prune_outcomes(&self, before: Timestamp, limit: u32) -> Result<u64, ConsumeError>;
}

/// Tasks cannot be taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConsumeError {
    /// The queue is away or too slow.
    #[error("the queue is unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What was seen.
        reason: String,
    },
}

impl Classified for ConsumeError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Outage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "queue.unavailable",
        }
    }
}

/// A delivery was not settled, or it is not known whether it was. It may come again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SettleError {
    /// The lease was lost; another worker has the task, and nothing was taken from it.
    #[error("the lease was lost, another worker has the task")]
    Stale,
    /// The queue is away or too slow.
    #[error("the queue is unavailable: {reason}")]
    Unavailable {
        /// What was seen.
        reason: String,
    },
}

impl Classified for SettleError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Stale | Self::Unavailable { .. } => ErrorClass::Outage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Stale => "lease.lost",
            Self::Unavailable { .. } => "queue.unavailable",
        }
    }
}

/// Ports are used behind `dyn`; this does not compile when one stops being so.
fn _dyn_compatible(_: Arc<dyn QueuePublisher>, _: Arc<dyn QueueConsumer>, _: Arc<dyn QueueMaintenance>) {}
