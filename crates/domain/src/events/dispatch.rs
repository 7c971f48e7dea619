//! What a route answers: the tasks that follow from one event, and how each is published.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::{
    Cause, DispatchKey, EncodeError, EnvelopeFactory, EventEnvelope, InvalidName, OrderKey, TaskEnvelope, TaskName,
    TopicName,
};
use crate::ids::MessageId;
use crate::tasks::{Coalesce, Coalescing, Task, TaskOptions};
use crate::time::{self, Timestamp};

/// One thing that follows from one event.
pub struct Dispatch {
    pub(super) target: DispatchTarget,
    pub(super) key: Option<DispatchKey>,
    options: TaskOptions,
    pub(super) problem: Option<InvalidName>,
    is_best_effort: bool,
    task: Box<dyn EnvelopedTask>,
}

impl Dispatch {
    /// What is asked of a topic of the rail itself.
    pub(super) fn new(
        target: DispatchTarget,
        key: Result<Option<DispatchKey>, InvalidName>,
        task: Box<dyn EnvelopedTask>,
    ) -> Self {
        let (key, problem) = key.map_or_else(|problem| (None, Some(problem)), |key| (key, None));
        Self {
            target,
            key,
            options: TaskOptions::default(),
            problem,
            is_best_effort: false,
            task,
        }
    }

    /// Where it goes.
    pub const fn target(&self) -> &DispatchTarget {
        &self.target
    }

    /// Whether the rest goes on without it when it cannot be published at the first try.
    pub const fn is_best_effort(&self) -> bool {
        self.is_best_effort
    }

    /// When the task may run at the earliest, if it is put on its topic at `enqueued_at`.
    pub fn not_before(&self, enqueued_at: Timestamp) -> Option<Timestamp> {
        let delayed = || self.options.delay.map(|delay| time::after(enqueued_at, delay));
        self.options.run_at.or_else(delayed)
    }

    /// Its envelope as a consequence of `event`, sealed anew for this id.
    ///
    /// # Errors
    /// It is out of bounds, or belongs to a tenant that whoever writes for the event's may not write for
    /// ([`Tenant::may_write_for`](crate::contract::Tenant::may_write_for)).
    pub fn envelope(
        &self,
        factory: &EnvelopeFactory,
        id: MessageId,
        event: &EventEnvelope,
    ) -> Result<TaskEnvelope, EncodeError> {
        let task = self.task.envelope(factory, id, &self.options, &event.cause_of_next())?;
        if !event.tenant.may_write_for(&task.tenant) {
            return Err(EncodeError::Tenant {
                contract: self.target.to_string(),
                got: task.tenant,
                event: event.tenant.clone(),
            });
        }
        Ok(task)
    }
}

/// What a dispatch leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DispatchTarget {
    /// The topic.
    pub topic: TopicName,
    /// The task.
    pub task: TaskName,
}

impl fmt::Display for DispatchTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.task)
    }
}

impl FromStr for DispatchTarget {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (topic, task) = text.split_once('/').ok_or(InvalidName {
            kind: "a route",
            expected: "a topic and a task, such as receipts/send",
        })?;
        Ok(Self {
            topic: TopicName::new(topic.to_owned())?,
            task: TaskName::new(task.to_owned())?,
        })
    }
}

impl fmt::Debug for Dispatch {
    /// Without the task, which may hold what does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch")
            .field("target", &self.target)
            .field("key", &self.key)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Publishes `task` when the event happens. Options follow as methods.
pub fn publish<T: Task>(task: T) -> Publish<T> {
    Publish {
        task,
        key: None,
        options: TaskOptions::default(),
        problem: None,
        is_best_effort: false,
    }
}

/// A task that follows from an event, and how it is published.
pub struct Publish<T> {
    task: T,
    key: Option<DispatchKey>,
    options: TaskOptions,
    problem: Option<InvalidName>,
    is_best_effort: bool,
}

impl<T: Task> Publish<T> {
    /// Publishes it once, together with the others: when that fails it is dropped, logged and counted, and neither delays
    /// the rest nor makes it fail. For what may be missing now and then, such as analytics. Once published, it is a task like
    /// any other.
    pub const fn best_effort(mut self) -> Self {
        self.is_best_effort = true;
        self
    }

    /// Tells it apart from another dispatch of the same event to the same task. Needed where their order may change,
    /// for example one task for each of a list of ids.
    pub fn key(mut self, key: impl fmt::Display) -> Self {
        match DispatchKey::new(key.to_string()) {
            Ok(key) => self.key = Some(key),
            Err(problem) => self.problem = Some(problem),
        }
        self
    }

    /// Runs it at the earliest this long after it was dispatched.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.delay = Some(delay);
        self
    }

    /// Runs it at the earliest at this time.
    pub fn run_at(mut self, time: Timestamp) -> Self {
        self.options.run_at = Some(time);
        self
    }

    /// A run after this time ends as skipped.
    pub fn deadline(mut self, deadline: Timestamp) -> Self {
        self.options.deadline = Some(deadline);
        self
    }

    /// Makes it one task with others of its key, as this says, whatever its contract says.
    pub fn coalesce(mut self, coalescing: Coalescing) -> Self {
        self.options.coalescing = Coalesce::By(coalescing);
        self
    }

    /// Makes it a task of its own, whatever its contract says.
    pub fn never_coalesce(mut self) -> Self {
        self.options.coalescing = Coalesce::Never;
        self
    }

    /// Runs one after another with the other tasks of this key, in the order of dispatch.
    pub fn order_key(mut self, key: impl fmt::Display) -> Self {
        match OrderKey::new(key.to_string()) {
            Ok(key) => self.options.order_key = Some(key),
            Err(problem) => self.problem = Some(problem),
        }
        self
    }
}

/// What a route may answer: one dispatch, a tuple, an `Option` or a `Vec` of them.
#[diagnostic::on_unimplemented(
    message = "a route cannot answer `{Self}`",
    note = "answer `publish(task)`, `start(key, input)`, a tuple of those, an `Option` or a `Vec`; for nothing use `.none::<Event>(\"reason\")`"
)]
pub trait IntoDispatches {
    /// What it may lead to.
    fn targets(targets: &mut Vec<DispatchTarget>);
    /// The dispatches.
    fn into_dispatches(self) -> Vec<Dispatch>;
}

impl<T: Task> IntoDispatches for Publish<T> {
    fn targets(targets: &mut Vec<DispatchTarget>) {
        targets.push(DispatchTarget {
            topic: T::TOPIC,
            task: T::NAME,
        });
    }

    fn into_dispatches(self) -> Vec<Dispatch> {
        vec![Dispatch {
            target: DispatchTarget {
                topic: T::TOPIC,
                task: T::NAME,
            },
            key: self.key,
            options: self.options,
            problem: self.problem,
            is_best_effort: self.is_best_effort,
            task: Box::new(self.task),
        }]
    }
}

impl<D: IntoDispatches> IntoDispatches for Option<D> {
    fn targets(targets: &mut Vec<DispatchTarget>) {
        D::targets(targets);
    }

    fn into_dispatches(self) -> Vec<Dispatch> {
        self.map(D::into_dispatches).unwrap_or_default()
    }
}

impl<D: IntoDispatches> IntoDispatches for Vec<D> {
    fn targets(targets: &mut Vec<DispatchTarget>) {
        D::targets(targets);
    }

    fn into_dispatches(self) -> Vec<Dispatch> {
        self.into_iter().flat_map(D::into_dispatches).collect()
    }
}

macro_rules! tuple_of_dispatches {
    ($($name:ident),+) => {
        impl<$($name: IntoDispatches),+> IntoDispatches for ($($name,)+) {
            fn targets(targets: &mut Vec<DispatchTarget>) {
                $($name::targets(targets);)+
            }

            #[expect(non_snake_case, reason = "the type parameters name the tuple's fields")]
            fn into_dispatches(self) -> Vec<Dispatch> {
                let ($($name,)+) = self;
                let mut dispatches = Vec::new();
                $(dispatches.extend($name.into_dispatches());)+
                dispatches
            }
        }
    };
}

tuple_of_dispatches!(A);
tuple_of_dispatches!(A, B);
tuple_of_dispatches!(A, B, C);
tuple_of_dispatches!(A, B, C, D);
tuple_of_dispatches!(A, B, C, D, E);
tuple_of_dispatches!(A, B, C, D, E, F);
tuple_of_dispatches!(A, B, C, D, E, F, G);
tuple_of_dispatches!(A, B, C, D, E, F, G, H);

/// A task whose type is forgotten until it is sealed and encoded.
pub(super) trait EnvelopedTask: Send + Sync {
    fn envelope(
        &self,
        factory: &EnvelopeFactory,
        id: MessageId,
        options: &TaskOptions,
        cause: &Cause,
    ) -> Result<TaskEnvelope, EncodeError>;
}

impl<T: Task> EnvelopedTask for T {
    fn envelope(
        &self,
        factory: &EnvelopeFactory,
        id: MessageId,
        options: &TaskOptions,
        cause: &Cause,
    ) -> Result<TaskEnvelope, EncodeError> {
        factory.task(id, self, options, cause)
    }
}
